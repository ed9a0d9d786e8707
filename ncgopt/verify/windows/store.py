"""Values of several runs by name; large ones wait in files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from ncgopt.runtime.session import Value
from ncgopt.verify.spill import Spill, Waiting


class Store:
    """What the original computed, per run; to be closed at the end."""

    def __init__(self) -> None:
        self._spill = Spill()
        self._kept: dict[tuple[int, str], Waiting] = {}

    def missing(self, names: Iterable[str]) -> list[str]:
        """Which of the names have not been put in."""
        return [name for name in names if (0, name) not in self._kept]

    def put(self, run: int, values: Mapping[str, Value]) -> None:
        """Keep values of a run."""
        self._kept |= {(run, name): self._spill.put(value) for name, value in values.items()}

    def get(self, run: int, names: Collection[str]) -> dict[str, Value]:
        """Values of a run; those in files are read anew each time."""
        return {name: self._spill.get(self._kept[run, name]) for name in names}

    def close(self) -> None:
        """Remove the files."""
        self._kept.clear()
        self._spill.clear()
