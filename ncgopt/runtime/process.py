"""Parent side: a child Python that runs library functions and may crash without harm."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, Any, BinaryIO, Self, TypeVar, cast

from ncgopt.errors import NcgoptError, Unavailable
from ncgopt.runtime import channel
from ncgopt.runtime.worker import PICKLE_PROTOCOL

# The child gets our sys.path as arguments instead of `-m` or PYTHONPATH: it then finds the same
# ncgopt that we are, and a file `onnx.py` in the current folder is not imported by accident (-P).
_BOOTSTRAP = "import sys; sys.path[:] = sys.argv[1:]; from ncgopt.runtime.worker import main; main({!r})"
_TAIL_BYTES = 4000
_T = TypeVar("_T")
_POLL_SECONDS = 0.25  # on Windows a longer wait for a queue cannot be interrupted with Ctrl-C


class WorkerDied(NcgoptError):
    """The child crashed, was killed, or ran out of time.

    Attributes:
        stage: what the child last said it was doing, empty if nothing.
        status: its exit status; None where it had to be killed for running too long.
        signal_name: `SIGSEGV` and the like where a signal ended it (POSIX only).
        output: the end of what native code printed.
        timed_out: whether we killed it because its time was up.
    """

    def __init__(self, stage: str, status: int | None, output: str, timeout: float | None = None) -> None:
        self.stage = stage
        self.status = status
        self.signal_name = _signal_name(status)
        self.output = output
        self.timed_out = timeout is not None
        super().__init__(self.what if not stage else f"{self.what} while {stage}")

    @property
    def what(self) -> str:
        """How it ended, without the stage."""
        if self.timed_out:
            return "out of time"
        if self.signal_name:
            return f"native crash ({self.signal_name})"
        return f"native crash (exit status {_status(self.status)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.stage, self.status, self.output, 0.0 if self.timed_out else None))


class Worker:
    """A child process that is started on the first call (or `start`) and again after it died.

    Use as a context manager. Not for several threads at once: calls are answered one by one, and
    what one call leaves in the modules of the child (open sessions, say) is there for the next,
    unless the child died in between.
    """

    def __init__(self) -> None:
        self._child: _Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def start(self, ahead: str = "") -> None:
        """Start the child now, without waiting for it, so that its start-up overlaps other work.

        Args:
            ahead: a module that it imports at once, for the same reason.
        """
        if self._child is None:
            self._child = _Child(ahead)

    def close(self) -> None:
        """End the child; it answers the next call again, in a new process."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def call(self, function: str, *args: Any, timeout: float | None = None) -> Any:
        """Run `"package.module:function"` with pickled arguments in the child; its pickled result.

        Args:
            function: where to find the function, importable in the child.
            args: arguments; they and the result must be picklable.
            timeout: seconds after which the child is killed; None for no limit.

        Raises:
            WorkerDied: the child crashed, or ran out of time.
            Exception: whatever the function raised, if it is a built-in or an exception of this
                library; `RemoteError` with its text otherwise. The child's traceback is its note.
        """
        return self.begin(function, *args)(timeout)

    def begin(self, function: str, *args: Any) -> Callable[[float | None], Any]:
        """Send a call and return at once; what is returned waits for the result, as `call` does, given its time limit.

        To be called before the next call is made.
        """
        request = pickle.dumps((function, args), PICKLE_PROTOCOL)
        self.start()
        child = self._child
        assert child is not None
        self._guarded(child, lambda: child.send(request))
        return lambda timeout: self._result(self._guarded(child, lambda: child.receive(timeout)))

    def _guarded(self, child: _Child, act: Callable[[], _T]) -> _T:
        """What `act` gives; a child with which anything goes wrong is no use any more."""
        try:
            return act()
        except BaseException:
            self._child = None
            child.kill()
            raise

    def _result(self, reply: tuple[Any, ...]) -> Any:
        if reply[0] == "result":
            return reply[1]
        error: BaseException = reply[1]
        error.add_note(f"In the child process: {reply[2]}")
        raise error


class _Child:
    """One process, from its start to its end."""

    def __init__(self, ahead: str) -> None:
        if not sys.executable:
            raise Unavailable("cannot start a child process: this Python does not know its own executable")
        self._printed: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        command = [sys.executable, "-P", "-c", _BOOTSTRAP.format(ahead), *sys.path]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._printed, bufsize=-1
        )
        self._stage = "starting"
        self._replies: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, request: bytes) -> None:
        try:
            channel.send(cast(BinaryIO, self._process.stdin), request)
        except OSError:
            raise self._death() from None

    def receive(self, timeout: float | None) -> tuple[Any, ...]:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _POLL_SECONDS if deadline is None else min(_POLL_SECONDS, deadline - time.monotonic())
            try:
                frame = self._replies.get(timeout=max(0.0, left))
            except queue.Empty:
                if left == _POLL_SECONDS:
                    continue
                self._process.kill()
                raise WorkerDied(self._stage, None, self._tail(), timeout) from None
            if frame is None:
                raise self._death()
            reply = cast("tuple[Any, ...]", pickle.loads(frame))
            if reply[0] != "stage":
                self._stage = ""
                return reply
            self._stage = reply[1]

    def close(self) -> None:
        """Let it end by itself (its input ends); kill it where that takes longer than a moment."""
        with contextlib.suppress(OSError):  # a dead child's pipe cannot be flushed
            cast(BinaryIO, self._process.stdin).close()
        self._reader.join(1.0)  # it ends with the child's output; waiting for a process with a time limit is polling
        if self._reader.is_alive():
            self._process.kill()
        self._release()

    def kill(self) -> None:
        self._process.kill()
        with contextlib.suppress(OSError):
            cast(BinaryIO, self._process.stdin).close()
        self._release()

    def _release(self) -> None:
        self._process.wait()
        self._reader.join()
        cast(BinaryIO, self._process.stdout).close()
        self._printed.close()

    def _read(self) -> None:
        stream = cast(BinaryIO, self._process.stdout)
        while True:
            frame = channel.receive(stream)
            self._replies.put(frame)
            if frame is None:
                return

    def _death(self) -> WorkerDied:
        try:
            status = self._process.wait(5.0)
        except subprocess.TimeoutExpired:  # it closed its pipe but lives on: no use to us
            self._process.kill()
            status = self._process.wait()
        return WorkerDied(self._stage, status, self._tail())

    def _tail(self) -> str:
        size = self._printed.seek(0, os.SEEK_END)
        self._printed.seek(max(0, size - _TAIL_BYTES))
        return self._printed.read().decode("utf-8", "replace").strip()


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
