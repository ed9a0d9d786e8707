"""Text for people and for scripts.

On a terminal: tables with units. Elsewhere, and with NO_COLOR: plain lines, columns separated by at
least two spaces, numbers without units or separators, so that scripts and diffs can rely on them.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import click


@dataclass(frozen=True)
class Screen:
    """Where text goes, and how."""

    stream: TextIO
    fancy: bool

    def line(self, text: str = "") -> None:
        """Write one line."""
        click.echo(text, file=self.stream)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table; columns whose cells are all numbers are aligned to the right."""
        if not rows:
            return
        numeric = [all(_is_number(row[k]) for row in rows) for k in range(len(headers))]
        if self.fancy:
            self._rich_table(headers, rows, numeric)
            return
        widths = [max(len(row[k]) for row in (headers, *rows)) for k in range(len(headers))]
        for row in (headers, *rows):
            cells = [c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numeric, strict=True)]
            self.line("  ".join(cells).rstrip())

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Write `key  value` lines, values aligned; a key that repeats the last one is left blank."""
        width = max((len(key) for key, _ in pairs), default=0)
        last = ""
        for key, value in pairs:
            shown = "" if self.fancy and key == last else key
            self.line(f"{shown.ljust(width)}  {value}".rstrip())
            last = key

    def bytes(self, count: int) -> str:
        """A number of bytes, with a unit on a terminal."""
        return _scaled(count, ("B", "kB", "MB", "GB", "TB")) if self.fancy else str(count)

    def count(self, count: int) -> str:
        """A number, with separators on a terminal."""
        return f"{count:,}" if self.fancy else str(count)

    def flops(self, count: int) -> str:
        """A number of FLOPs, with a unit on a terminal."""
        return _scaled(count, ("", "k", "M", "G", "T", "P")) if self.fancy else str(count)

    def change(self, count: int, render: Callable[[int], str]) -> str:
        """A difference, with its sign; nothing where there is none."""
        if count == 0:
            return "0"
        return ("+" if count > 0 else "-") + render(abs(count))

    def _rich_table(self, headers: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for header, right in zip(headers, numeric, strict=True):
            table.add_column(header, justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))  # Text: names may hold what looks like markup
        Console(file=self.stream).print(table)


def screen(*, err: bool = False) -> Screen:
    """Standard output, or standard error."""
    stream = sys.stderr if err else sys.stdout
    return Screen(stream, stream.isatty() and not os.environ.get("NO_COLOR"))


@contextlib.contextmanager
def progress(*, verbose: bool, quiet: bool) -> Generator[Callable[[str], None], None, None]:
    """Something to report steps to: a live line on a terminal, plain lines with -v, else silence."""
    err = screen(err=True)
    if quiet or not (err.fancy or verbose):
        yield lambda _: None
    elif verbose:
        yield err.line
    else:
        from rich.console import Console

        with Console(file=err.stream).status("") as status:
            yield lambda text: status.update(_escaped(text))


def binding_text(binding: Any) -> str:
    """`batch=1, sequence=5`; empty where nothing was bound."""
    return ", ".join(f"{name}={size}" for name, size in dict(binding).items())


def _scaled(count: int, units: Sequence[str]) -> str:
    size, index = float(count), 0
    while size >= 999.5 and index < len(units) - 1:
        size, index = size / 1000, index + 1
    digits = 0 if index == 0 else max(0, 3 - len(str(int(size))))
    return f"{size:.{digits}f} {units[index]}".strip()


def _is_number(cell: str) -> bool:
    return cell[:1].isdigit() or (cell[:1] in "+-" and cell[1:2].isdigit()) or cell in ("", "-")


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
