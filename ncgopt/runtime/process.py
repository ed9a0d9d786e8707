"""Parent side: a child Python that runs library functions and may crash without harm."""

from __future__ import annotations

import pickle
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from ncgopt.runtime.blackbox import BlackBox
from ncgopt.runtime.child import Child, Limits, Stopped
from ncgopt.runtime.death import WorkerDied
from ncgopt.runtime.memory import default_limit
from ncgopt.runtime.worker import PICKLE_PROTOCOL

__all__ = ["Stopped", "Worker", "WorkerDied"]

_T = TypeVar("_T")
_TURN_SECONDS = 0.25


class Worker:
    """A child process that is started on the first call (or `start`) and again after it died.

    Use as a context manager. Calls are answered one by one, also where several threads make them, and
    what one call leaves in the modules of the child (open sessions, say) is there for the next,
    unless the child died in between (`losses`).

    Args:
        memory: bytes that the child may hold; None for three quarters of the machine's memory. See `memory.py`.
        box: where the child notes what it is doing and until when it may; it is killed when it is late.
        threads: whether numpy may use all cores in the child.
        stop: set by another thread to end the call that is being answered, which then raises `Stopped`.
    """

    def __init__(
        self,
        *,
        memory: int | None = None,
        box: BlackBox | None = None,
        threads: bool = False,
        stop: threading.Event | None = None,
    ) -> None:
        self._child: Child | None = None
        self._memory = memory or default_limit()
        self._box = box
        self._threads = threads
        self._stop = stop
        self._busy = threading.Lock()
        self._home = threading.get_ident()
        self.losses = 0
        """How many children have died: with each goes what calls had left in it."""
        self.waits: Counter[int] = Counter()
        """Milliseconds that each thread, by its identity, has waited for its turn."""

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
            self._child = Child(ahead, self._memory, threads=self._threads)

    def close(self) -> None:
        """End the child; it answers the next call again, in a new process."""
        if self._child is not None:
            self._child.close()
            self._child = None
            self.losses += 1

    def pause(self) -> None:
        """Hold the child, where the system can do that; it must be resumed before the next call, and at the end."""
        if self._child is not None:
            self._child.pause()

    def resume(self) -> None:
        """Let the child go on."""
        if self._child is not None:
            self._child.resume()

    def held(self) -> int | None:
        """Bytes that the child holds for itself alone; None where there is none, or nobody can tell."""
        return None if self._child is None else self._child.held()

    def call(
        self,
        function: str,
        *args: Any,
        timeout: float | None = None,
        listener: Callable[[str], None] | None = None,
    ) -> Any:
        """Run `"package.module:function"` with pickled arguments in the child; its pickled result.

        Args:
            function: where to find the function, importable in the child.
            args: arguments; they and the result must be picklable.
            timeout: seconds after which the child is killed; None for no limit. They do not count before
                the child has started.
            listener: called with every stage that the child announces.

        Raises:
            WorkerDied: the child crashed, or ran out of time or memory; or it had, and another thread than ours
                would have to start the next one, which on Linux would end with that thread.
            Exception: whatever the function raised, if it is a built-in or an exception of this
                library; `RemoteError` with its text otherwise. The child's traceback is its note.
        """
        asked = time.monotonic()
        while not self._busy.acquire(timeout=_TURN_SECONDS):
            pass  # in one go, the wait could not be ended by the watchdog
        self.waits[threading.get_ident()] += round(1000 * (time.monotonic() - asked))
        try:
            if self._child is None and threading.get_ident() != self._home:
                raise WorkerDied("", None, "")
            return self.begin(function, *args, listener=listener)(timeout)
        finally:
            self._busy.release()

    def begin(
        self, function: str, *args: Any, listener: Callable[[str], None] | None = None
    ) -> Callable[[float | None], Any]:
        """Send a call and return at once; what is returned waits for the result, as `call` does, given its time limit.

        To be called before the next call is made.
        """
        request = pickle.dumps((function, args), PICKLE_PROTOCOL)
        self.start()
        child = self._child
        assert child is not None
        self._guarded(child, lambda: child.send(request))

        def wait(timeout: float | None) -> Any:
            limits = Limits(timeout, self._memory, self._box, self._stop)
            return _result(self._guarded(child, lambda: child.receive(limits, listener)))

        return wait

    def _guarded(self, child: Child, act: Callable[[], _T]) -> _T:
        """What `act` gives; a child with which anything goes wrong is no use any more."""
        try:
            return act()
        except BaseException:
            self._child = None
            self.losses += 1
            child.kill()
            raise


def _result(reply: tuple[Any, ...]) -> Any:
    if reply[0] == "result":
        return reply[1]
    error: BaseException = reply[1]
    error.add_note(f"In the child process: {reply[2]}")
    raise error
