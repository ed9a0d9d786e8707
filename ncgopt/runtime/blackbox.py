"""What a process is doing and until when it may, in memory that outlives the process.

A process that crashes natively, or hangs in native code, cannot say what it was doing. It writes that
down before, into a small mapped file that the process which supervises it reads afterwards. One write
costs less than a microsecond, so every rule that is tried can have its name there, which frames on a
pipe could not.
"""

from __future__ import annotations

import mmap
import struct
import time
from dataclasses import dataclass
from pathlib import Path

_HEAD = struct.Struct("<dH")  # monotonic deadline (0: none), length of the name
_SIZE = 512


@dataclass(frozen=True)
class Entry:
    """The last that was written down.

    Attributes:
        doing: name of the pass or rule; empty outside of them.
        late: seconds beyond the deadline; negative before it, None without one.
    """

    doing: str
    late: float | None


class BlackBox:
    """The mapped file, seen by the writer and by the reader."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b" if path.exists() else "w+b") as file:
            if path.stat().st_size < _SIZE:
                file.truncate(_SIZE)
            self._memory = mmap.mmap(file.fileno(), _SIZE)

    def write(self, doing: str, deadline: float | None) -> None:
        """Note what begins now and when (`time.monotonic`, the same clock for all processes) it must be over."""
        name = doing.encode("utf-8", "replace")[: _SIZE - _HEAD.size]
        self._memory[: _HEAD.size + len(name)] = _HEAD.pack(deadline or 0.0, len(name)) + name

    def read(self) -> Entry:
        """What is written there now."""
        deadline, length = _HEAD.unpack_from(self._memory)
        doing = self._memory[_HEAD.size : _HEAD.size + length].decode("utf-8", "replace")
        return Entry(doing, time.monotonic() - deadline if deadline else None)

    def close(self) -> None:
        """Unmap it; on Windows it could not be removed before."""
        self._memory.close()
