"""Tasks on this machine: a thread per job that waits for a child process of its own.

A thread, as it does nothing but wait, and because a child of ours ends with the thread that started it. Where a
process were killed, its child would be left without anybody who notices; here, only the child can be.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any

from ncgopt.fleet.seats import Seat
from ncgopt.fleet.tasks import Done, attempt

_POLL_SECONDS = 0.25  # a longer wait could not be interrupted with Ctrl-C on Windows


def run(jobs: int, address: str, seat: Seat, tasks: Sequence[Any], say: Callable[[int, str], None]) -> Generator[Done]:
    """See `Engine.run`."""
    crew = _Crew(seat, tasks, say)
    threads = [threading.Thread(target=crew.work, daemon=True) for _ in range(min(jobs, len(tasks)))]
    for thread in threads:
        thread.start()
    try:
        for _ in tasks:
            yield crew.next_done()
    finally:
        crew.stop.set()
        for thread in threads:
            thread.join()


class _Crew:
    """What the threads share."""

    def __init__(self, seat: Seat, tasks: Sequence[Any], say: Callable[[int, str], None]) -> None:
        self._seat, self._say = seat, say
        self._waiting: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        for numbered in enumerate(tasks):
            self._waiting.put(numbered)
        self._done: queue.SimpleQueue[Done | BaseException] = queue.SimpleQueue()
        self.stop = threading.Event()

    def work(self) -> None:
        """Do what waits, until nothing does. What goes wrong outside of tasks ends the run."""
        try:
            with self._seat.open(self.stop) as do:
                while not self.stop.is_set():
                    try:
                        index, task = self._waiting.get_nowait()
                    except queue.Empty:
                        return
                    self._done.put(attempt(do, index, task, lambda text, index=index: self._say(index, text)))
        except BaseException as error:
            self._done.put(error)

    def next_done(self) -> Done:
        """The next task that is done; raises what ended a thread."""
        while True:
            try:
                found = self._done.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(found, BaseException):
                raise found
            return found
