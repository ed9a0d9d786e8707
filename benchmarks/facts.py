"""How much of each model ncgopt's facts see through: a table, worst last.

    python benchmarks/facts.py MODEL_OR_FOLDER...

One line per model, with the shares of values whose shape, element type and (small integer tensors)
contents can be proven; see `ncgopt inspect --facts` for where that knowledge ends. Several models
at the end also get a line for all values together.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import ncgopt
from ncgopt.errors import NcgoptError


@dataclass(frozen=True)
class Row:
    """Counts of one model, or of several together."""

    name: str
    values: int
    shapes: int
    types: int
    small: int
    contents: int

    def text(self) -> str:
        """One line of the table."""
        shares = (share(self.shapes, self.values), share(self.types, self.values), share(self.contents, self.small))
        return f"{self.name:44}  {self.values:6}  " + "  ".join(f"{one:8.2f}" for one in shares)


def share(part: int, whole: int) -> float:
    """Percent; everything of nothing."""
    return 100 * part / whole if whole else 100.0


def files(paths: Iterable[str]) -> Iterator[Path]:
    """Models at `paths`, those in folders included."""
    for path in map(Path, paths):
        yield from sorted(path.rglob("*.onnx")) if path.is_dir() else [path]


def rows(paths: Iterable[Path]) -> Iterator[Row]:
    """One row per model; what cannot be read is said on standard error."""
    for path in paths:
        try:
            found = ncgopt.inspect(path, facts=True).facts
        except NcgoptError as error:
            print(f"{path}: {error}", file=sys.stderr)
            continue
        if found is not None:
            name = path.name if path.stem != "model" else path.parent.name
            yield Row(name, found.values, found.shapes, found.types, found.small_integers, found.contents)


def main() -> None:
    """Print the table."""
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    found = sorted(rows(files(sys.argv[1:])), key=lambda row: (-share(row.shapes, row.values), row.name))
    print(f"{'model':44}  {'values':>6}  {'shapes %':>8}  {'types %':>8}  {'contents %':>8}")
    for row in found:
        print(row.text())
    if len(found) > 1:
        counts = [(row.values, row.shapes, row.types, row.small, row.contents) for row in found]
        print(Row("all", *map(sum, zip(*counts, strict=True))).text())


if __name__ == "__main__":
    main()
