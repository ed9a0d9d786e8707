"""How a child process ended, in words."""

from __future__ import annotations

import re
import signal
from typing import Any

from ncgopt.bytesize import size_text
from ncgopt.errors import NcgoptError

_NO_MEMORY = re.compile(r"bad_alloc|MemoryError|[Oo]ut of memory|[Cc]annot allocate memory")


class WorkerDied(NcgoptError):
    """The child crashed, was killed, or ran out of time or memory.

    Attributes:
        stage: what the child last said it was doing, empty if nothing.
        status: its exit status; None where it had to be killed for running too long or taking too much memory.
        signal_name: `SIGSEGV` and the like where a signal ended it (POSIX only).
        output: the end of what native code printed.
        timed_out: whether we killed it because its time was up.
        out_of_memory: whether it had more memory than allowed, or said at its end that it got no more.
    """

    def __init__(
        self, stage: str, status: int | None, output: str, timeout: float | None = None, memory: int | None = None
    ) -> None:
        self.stage = stage
        self.status = status
        self.signal_name = _signal_name(status)
        self.output = output
        self.timed_out = timeout is not None
        self.out_of_memory = memory is not None or (status not in (None, 0) and bool(_NO_MEMORY.search(output)))
        self._limits = (timeout, memory)
        super().__init__(self.what if not stage else f"{self.what} while {stage}")

    @property
    def what(self) -> str:
        """How it ended, without the stage."""
        timeout, memory = self._limits
        if timeout is not None:
            return f"out of time ({timeout:.3g} s)" if timeout else "out of time"
        if memory is not None:
            return f"out of memory ({size_text(memory)})"
        if self.out_of_memory:
            return "out of memory"
        if self.signal_name == "SIGKILL":
            return "killed (SIGKILL), as systems do that run out of memory"
        if self.signal_name:
            return f"native crash ({self.signal_name})"
        return f"native crash (exit status {_status(self.status)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.stage, self.status, self.output, *self._limits))


def _signal_name(status: int | None) -> str:
    if status is None or status >= 0:
        return ""
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def _status(status: int | None) -> str:
    """Windows reports exceptions as large unsigned codes that are only known in hexadecimal."""
    return hex(status) if status is not None and status > 0xFFFF else str(status)
