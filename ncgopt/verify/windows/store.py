"""Values of several runs by name; large ones wait in files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import numpy as np

from ncgopt.runtime.session import Value

_KEPT = 1 << 16  # bytes; larger values go to a file


class Store:
    """What the original computed, per run.

    Args:
        folder: an empty folder, for as long as the store is used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[tuple[int, str], Value | Path] = {}

    def missing(self, names: Iterable[str]) -> list[str]:
        """Which of the names have not been put in."""
        return [name for name in names if (0, name) not in self._kept]

    def put(self, run: int, values: Mapping[str, Value]) -> None:
        """Keep values of a run."""
        for name, value in values.items():
            if isinstance(value, np.ndarray) and value.nbytes > _KEPT and value.dtype.kind in "fiub":
                path = self._folder / f"{len(self._kept)}.npy"
                np.save(path, value)
                self._kept[run, name] = path
            else:
                self._kept[run, name] = value

    def get(self, run: int, names: Collection[str]) -> dict[str, Value]:
        """Values of a run; those in files are read anew each time."""
        found = {name: self._kept[run, name] for name in names}
        return {name: np.load(value) if isinstance(value, Path) else value for name, value in found.items()}
