"""Values that wait in files: what a model computed is looked at again much later, and may be large."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ncgopt.runtime.session import Value

_KEPT = 1 << 16  # bytes; larger values go to a file


@dataclass(frozen=True)
class _InFile:
    path: Path


Waiting: TypeAlias = "Value | _InFile"
"""A value, or where it waits."""


class Spill:
    """Puts values away and brings them back. The files go with `clear`, or with the process's temporary folder."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._count = 0

    def put(self, value: Value) -> Waiting:
        """Put a value away."""
        if not isinstance(value, np.ndarray) or value.nbytes <= _KEPT or value.dtype.kind not in "fiub":
            return value
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="ncgopt-", ignore_cleanup_errors=True)
        path = Path(self._folder.name, f"{self._count}.npy")
        self._count += 1
        np.save(path, value)
        return _InFile(path)

    def get(self, waiting: Waiting) -> Value:
        """Bring it back; from a file it is read anew each time."""
        return np.load(waiting.path) if isinstance(waiting, _InFile) else waiting

    def clear(self) -> None:
        """Remove the files."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


class Outputs:
    """The outputs of runs, by number."""

    def __init__(self) -> None:
        self._spill = Spill()
        self._runs: dict[int, list[Waiting]] = {}

    def put(self, number: int, outputs: Sequence[Value]) -> None:
        """Keep the outputs of a run."""
        self._runs[number] = [self._spill.put(value) for value in outputs]

    def get(self, number: int) -> list[Value]:
        """The outputs of a run, in order."""
        return [self._spill.get(waiting) for waiting in self._runs[number]]

    def __contains__(self, number: int) -> bool:
        return number in self._runs

    def clear(self) -> None:
        """Forget them all."""
        self._runs.clear()
        self._spill.clear()
