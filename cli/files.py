"""Files that a command writes: refused before the work begins where they could not be written after it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ncgopt.errors import CannotWrite
from ncgopt.to_json import to_json


def check_target(path: Path) -> None:
    """Refuse a file that cannot be written."""
    folder = path.absolute().parent
    if os.path.isdir(path):
        raise CannotWrite(f"{path} is a directory")
    if not folder.is_dir():
        raise CannotWrite(f"{path}: the folder {folder} does not exist")
    if not os.access(folder, os.W_OK):
        raise CannotWrite(f"{path}: no permission to write in {folder}")


def same(a: Path, b: Path) -> bool:
    """Whether two paths mean one file, which need not exist."""
    return os.path.samefile(a, b) if os.path.exists(a) and os.path.exists(b) else a.absolute() == b.absolute()


def write_report(place: Path, report: object) -> None:
    """Write a report, or a list of them; `-` is standard output."""
    text = to_json(report) + "\n"
    if str(place) == "-":
        click.echo(text, nl=False)
    else:
        write_text(place, text)


def write_text(place: Path, text: str) -> None:
    """Write a file of text; what UTF-8 cannot write, as in a file's name that is none, is escaped."""
    try:
        place.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise CannotWrite(f"{place}: {error.strerror or error}") from error
