"""Time limits for our own code, enforced from outside of it.

A rule or pass that loops forever must not take the run with it, and cannot be asked to look at a
clock. A thread therefore raises an exception inside the thread that runs it (`PyThreadState_SetAsyncExc`):
that ends whatever Python executes, a loop in a rule or one in onnx-ir, works in any thread and needs no
signal, so the library can be used in-process. It cannot end a hang inside native code, where no Python
instruction is reached; for that, the command line runs the whole job in a child process
(`supervised.py`), which reads in the black box what is running and when it should have been over.

The black box also holds the name of the rule or pass that is running, so that it can be named
whichever way it ends.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from typing import ClassVar, TypeVar

from ncgopt.errors import UnsoundRewrite
from ncgopt.runtime.blackbox import BlackBox

T = TypeVar("T")

_REPEAT_SECONDS = 1.0  # after which the exception is raised again: a callback or a bare `except` may have eaten it


class StepEnded(UnsoundRewrite):
    """A pass or rule did not come to its end, and had to be stopped; the model is in no defined state.

    Attributes:
        reason: how it ended: `out of time (600 s)`, `out of memory`.
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}", source)
        self.reason = reason

    def __reduce__(self) -> tuple[type[StepEnded], tuple[str, str]]:
        return StepEnded, (self.source, self.reason)


class _Overrun(BaseException):
    """Raised inside the code whose time is up. No `Exception`, so that code under watch does not catch it."""


class Watchdog:
    """Watches one step after the other of the thread that calls it.

    Attributes:
        box: the black box of this process, where somebody supervises it.
        doing: the rule or pass that runs, as last told by `enter`.
    """

    box: ClassVar[BlackBox | None] = None

    def __init__(self) -> None:
        self.doing = ""
        self._deadline: float | None = None

    def enter(self, name: str) -> None:
        """Note which rule or pass runs from now on; cheap enough to be told for every node."""
        if name != self.doing:
            self.doing = name
            if self.box is not None:
                self.box.write(name, self._deadline)

    def run(self, name: str, seconds: float, step: Callable[[], T]) -> T:
        """Call `step`, called `name`, and give it `seconds`; its result.

        This takes a function and is no context manager, because then the exception could come in
        the code between the end of the block and the end of the watch.

        Raises:
            StepEnded: it was stopped, or ran out of memory or stack.
        """
        self._deadline = time.monotonic() + seconds
        self.enter(name)
        guard = _Guard(seconds)
        try:
            try:
                guard.start()
                return step()
            finally:
                guard.stop()
        except _Overrun:
            guard.stop_surely()
            raise StepEnded(self.doing, f"out of time ({seconds:g} s)") from None
        except MemoryError:
            raise StepEnded(self.doing, "out of memory") from None
        except RecursionError:
            raise StepEnded(self.doing, "nested too deeply") from None
        finally:
            self._deadline = None
            self.enter("")


class _Guard:
    """The thread that raises the exception in the thread that made it."""

    def __init__(self, seconds: float) -> None:
        self._watched = ctypes.c_ulong(threading.get_ident())
        self._seconds = seconds
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._wait, name="ncgopt-watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Raise nothing from now on, and take back what was raised but did not arrive yet."""
        with self._lock:
            self._over.set()
            _raise_in(self._watched, None)

    def stop_surely(self) -> None:
        """As `stop`, after which the exception may have come: then once more."""
        while True:
            try:
                self.stop()
            except _Overrun:
                continue
            return

    def _wait(self) -> None:
        wait = self._seconds
        while not self._over.wait(wait):
            with self._lock:
                if not self._over.is_set():
                    _raise_in(self._watched, _Overrun)
            wait = _REPEAT_SECONDS


def _raise_in(thread: ctypes.c_ulong, kind: type[BaseException] | None) -> None:
    argument = ctypes.py_object(kind) if kind is not None else ctypes.py_object()
    ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, argument)
