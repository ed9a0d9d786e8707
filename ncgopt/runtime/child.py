"""One child process, from its start to its end."""

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
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, cast

from ncgopt.errors import Unavailable
from ncgopt.runtime import channel
from ncgopt.runtime.blackbox import BlackBox
from ncgopt.runtime.death import WorkerDied
from ncgopt.runtime.memory import held_by

# The child gets our sys.path as arguments instead of `-m` or PYTHONPATH: it then finds the same
# ncgopt that we are, and a file `onnx.py` in the current folder is not imported by accident (-P).
_BOOTSTRAP = "import sys; sys.path[:] = sys.argv[4:]; from ncgopt.runtime.worker import main; main(*sys.argv[1:4])"
_TAIL_BYTES = 4000
_POLL_SECONDS = 0.25  # on Windows a longer wait for a queue cannot be interrupted with Ctrl-C
_MEMORY_SECONDS = 0.05  # how often the memory of a busy child is looked at
_START_SECONDS = 120.0
_GRACE_SECONDS = 3.0  # that the child's own watchdog has before it is killed from here


@dataclass(frozen=True)
class Limits:
    """What ends a child in the middle of a call.

    Attributes:
        seconds: time for the call; None for no limit.
        memory: bytes that the child may hold; None for no limit.
        box: where the child notes what it is doing and until when it may; it is killed when it is late.
        stop: set by another thread where the call is not wanted any more.
    """

    seconds: float | None = None
    memory: int | None = None
    box: BlackBox | None = None
    stop: threading.Event | None = None


class Stopped(Exception):
    """The call was not wanted any more, and its child was ended."""


class Child:
    """A Python process that answers calls, one by one.

    Args:
        ahead: a module that it imports at once, while we do something else.
        memory: bytes that the kernel lets it have, where the system can do that.
        threads: whether numpy may use all cores in it.
    """

    def __init__(self, ahead: str, memory: int | None, *, threads: bool = False) -> None:
        if not sys.executable:
            raise Unavailable("cannot start a child process: this Python does not know its own executable")
        self._printed: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        command = [
            sys.executable,
            "-P",
            "-c",
            _BOOTSTRAP,
            ahead,
            _as_text(memory),
            "all" if threads else "one",
            *sys.path,
        ]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._printed, bufsize=-1
        )
        self._stage = "starting"
        self._is_ready = False
        self._replies: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, request: bytes) -> None:
        """Send a request.

        Raises:
            WorkerDied: it has crashed.
        """
        try:
            channel.send(cast(BinaryIO, self._process.stdin), request)
        except OSError:
            raise self._death() from None

    def receive(self, limits: Limits, listener: Callable[[str], None] | None = None) -> tuple[Any, ...]:
        """Wait for a reply; `listener` is called with every stage that the child announces.

        Raises:
            WorkerDied: it crashed, or had to be killed because of `limits`.
            Stopped: `limits.stop` was set.
        """
        if not self._is_ready:  # what it imports on starting is not the call's time
            self._is_ready = True
            self._answer(Limits(_START_SECONDS, limits.memory, stop=limits.stop), None)
        return self._answer(limits, listener)

    def _answer(self, limits: Limits, listener: Callable[[str], None] | None) -> tuple[Any, ...]:
        start = time.monotonic()
        wait = _POLL_SECONDS if limits.memory is None else _MEMORY_SECONDS
        while True:
            left = wait if limits.seconds is None else min(wait, start + limits.seconds - time.monotonic())
            try:
                frame = self._replies.get(timeout=max(0.0, left))
            except queue.Empty:
                self._enforce(limits, start)
                continue
            if frame is None:
                raise self._death()
            reply = cast("tuple[Any, ...]", pickle.loads(frame))
            if reply[0] != "stage":
                self._stage = ""
                return reply
            self._stage = reply[1]
            if listener is not None:
                listener(reply[1])

    def _enforce(self, limits: Limits, start: float) -> None:
        """Kill it and raise where it is beyond a limit, or not wanted any more."""
        if limits.stop is not None and limits.stop.is_set():
            raise Stopped
        if limits.seconds is not None and time.monotonic() - start >= limits.seconds:
            self._process.kill()
            raise WorkerDied(self._stage, None, self._tail(), limits.seconds)
        if limits.memory is not None and (held_by(self._process.pid) or 0) > limits.memory:
            self._process.kill()
            raise WorkerDied(self._stage, None, self._tail(), memory=limits.memory)
        late = limits.box.read().late if limits.box is not None else None
        if late is not None and late > _GRACE_SECONDS:
            self._process.kill()
            raise WorkerDied(self._stage, None, self._tail(), 0.0)

    def held(self) -> int | None:
        """Bytes that it holds for itself alone; None where nobody can tell."""
        return held_by(self._process.pid)

    def pause(self) -> None:
        """Have the system hold it; threads that spin then take nobody's processor (POSIX only)."""
        if os.name == "posix":
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        if os.name == "posix":
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Let it end by itself (its input ends); kill it where that takes longer than a moment."""
        with contextlib.suppress(OSError):  # a dead child's pipe cannot be flushed
            cast(BinaryIO, self._process.stdin).close()
        self._reader.join(1.0)  # it ends with the child's output; waiting for a process with a time limit is polling
        if self._reader.is_alive():
            self._process.kill()
        self._release()

    def kill(self) -> None:
        """End it now."""
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


def _as_text(limit: int | None) -> str:
    return str(limit or 0)
