"""One task, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ncgopt.errors import Unavailable
from ncgopt.fleet.seats import Listener, Seat
from ncgopt.runtime.worker import portable


@dataclass(frozen=True)
class Done:
    """What became of one task.

    Attributes:
        index: its place among the tasks.
        value: what came of it, where nothing went wrong.
        error: what it ended in otherwise.
    """

    index: int
    value: Any = None
    error: Exception | None = None


def perform(seat: Seat, index: int, task: Any, version: str) -> Done:
    """Do one task in a worker of a cluster.

    Args:
        seat: what does it.
        index: its place.
        task: what `seat` takes.
        version: of ncgopt where the task comes from; results of another one would not be the same.
    """
    import ncgopt

    if ncgopt.__version__ != version:
        found = f"a worker of the cluster has ncgopt {ncgopt.__version__}, here is {version}"
        return Done(index, error=Unavailable(f"{found}; install the same on both sides"))
    with seat.open(None) as do:
        return attempt(do, index, task, lambda _: None)


def attempt(do: Callable[[Any, Listener], Any], index: int, task: Any, listener: Listener) -> Done:
    """Do one task; an error is a result like another, fit to be sent."""
    try:
        return Done(index, do(task, listener))
    except Exception as error:
        found = portable(error)
        return Done(index, error=found if isinstance(found, Exception) else RuntimeError(str(error)))
