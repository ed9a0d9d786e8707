"""Many tasks, several at once: on this machine, or on the workers of a Ray or Dask cluster.

Each engine hands out one task at a time and begins only that one again when its worker dies. joblib's backends do
not: loky gives up all calls when one worker dies, and its backend for Ray restarts none unless told. The engines
are therefore built on what each system itself offers for a single task.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ncgopt.fleet.seats import Seat
from ncgopt.fleet.tasks import Done
from ncgopt.runtime.memory import default_limit

EngineName = Literal["local", "ray", "dask"]


@dataclass(frozen=True)
class Engine:
    """Where tasks are done.

    Attributes:
        name: `local`: processes of this machine. `ray`, `dask`: a cluster, whose workers must have the same ncgopt
            and see the same files.
        jobs: tasks at once on this machine; of a cluster that is there already, its workers decide.
        address: of the cluster; empty for one of `jobs` workers on this machine, which ends with the run.
    """

    name: EngineName = "local"
    jobs: int = 1
    address: str = ""

    def memory_share(self) -> int | None:
        """Bytes that one job may hold where several share this machine; None where nothing has to be shared."""
        limit = default_limit() if self.jobs > 1 and not self.address else None
        return None if limit is None else limit // self.jobs

    def run(self, seat: Seat, tasks: Sequence[Any], say: Callable[[int, str], None] | None = None) -> Generator[Done]:
        """Do all tasks, begun in their order, and tell of each as soon as it is done; closing it ends what runs.

        Args:
            seat: what does a task.
            tasks: what `seat` takes.
            say: called with a task's index and a line of text whenever it begins something (local only, from
                several threads).

        Raises:
            Unavailable: the engine is not installed, or there is no such cluster.
        """
        listener = say or _silent
        if self.name == "local":
            from ncgopt.fleet.local import run
        elif self.name == "dask":
            from ncgopt.fleet.on_dask import run
        else:
            from ncgopt.fleet.on_ray import run
        yield from run(self.jobs, self.address, seat, tasks, listener)


def _silent(index: int, text: str) -> None:
    return
