"""Where tasks are done: a child process of its own, so that whatever happens to it happens to one task alone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from ncgopt.runtime.death import WorkerDied
from ncgopt.runtime.process import Worker

Listener = Callable[[str], None]
Do = Callable[[Any, Listener], Any]
"""Does one task, telling the listener what begins; raises where it fails."""

TRIES = 3
"""How often a task is begun whose process was killed from outside, which says nothing about the task."""


class Seat(Protocol):
    """What a process needs to know to do tasks. It can be pickled, and its tasks and their results can."""

    def open(self, stop: threading.Event | None) -> AbstractContextManager[Do]:
        """Something that does one task after the other.

        Args:
            stop: set where no task is wanted any more; the one that runs then ends in `Stopped`.
        """
        ...


@dataclass(frozen=True)
class FunctionSeat:
    """Calls one function in a child process; a task is the tuple of its arguments.

    Attributes:
        function: `"package.module:function"`, importable wherever ncgopt is.
        memory: bytes that the child may hold; None for three quarters of the machine's memory.
        timeout: seconds for one call; None for no limit.
    """

    function: str
    memory: int | None = None
    timeout: float | None = None

    @contextlib.contextmanager
    def open(self, stop: threading.Event | None) -> Generator[Do]:
        """A child that is begun again when it dies; its task is repeated only where it was killed from outside."""
        with Worker(memory=self.memory, stop=stop) as worker:
            worker.start(self.function.partition(":")[0])

            def do(task: tuple[Any, ...], listener: Listener) -> Any:
                for left in reversed(range(TRIES)):
                    try:
                        return worker.call(self.function, *task, timeout=self.timeout, listener=listener)
                    except WorkerDied as death:
                        if death.signal_name != "SIGKILL" or not left:
                            raise
                raise AssertionError  # the last try returns or raises

            yield do
