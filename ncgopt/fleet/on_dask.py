"""Tasks on a Dask cluster: its scheduler gives the task of a worker that died, and only that, to another one.

joblib's backend submits batches of calls through the same interface; here each task is one, so that each is
retried by itself and told of as soon as it is done.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Generator, Sequence
from typing import Any

import ncgopt
from ncgopt.errors import OutOfResources, Unavailable
from ncgopt.fleet.seats import TRIES, Seat
from ncgopt.fleet.tasks import Done, perform


def run(jobs: int, address: str, seat: Seat, tasks: Sequence[Any], say: Callable[[int, str], None]) -> Generator[Done]:
    """See `Engine.run`; what tasks say as they run stays in the cluster.

    Raises:
        Unavailable: Dask is not installed, or nobody answers at the address.
    """
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError:
        raise Unavailable("--engine dask needs Dask: pip install 'ncgopt[dask]', also on its workers") from None
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(_client(distributed, jobs, address, stack))
        numbers: dict[Any, int] = {}
        try:
            for index, task in enumerate(tasks):
                # One task per worker at a time wherever its owner says so; results are never taken from a cache.
                future = client.submit(perform, seat, index, task, ncgopt.__version__, pure=False, retries=TRIES - 1)
                numbers[future] = index
            for future in distributed.as_completed(list(numbers)):
                yield _done(numbers[future], future)
                future.release()
        finally:
            with contextlib.suppress(Exception):  # a scheduler that is gone runs nothing
                client.cancel(list(numbers), force=True)


def _client(distributed: Any, jobs: int, address: str, stack: contextlib.ExitStack) -> Any:
    if address:
        try:
            return distributed.Client(address, timeout=10)
        except (OSError, ValueError) as error:
            raise Unavailable(f"no Dask scheduler answers at {address}: {error}") from error
    cluster = distributed.LocalCluster(
        n_workers=jobs, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, memory_limit=0
    )
    return distributed.Client(stack.enter_context(cluster))


def _done(index: int, future: Any) -> Done:
    try:
        done: Done = future.result()
        return done
    except Exception as error:  # `KilledWorker` and what else the cluster has: not of the task, which returns its own
        return Done(index, error=OutOfResources(f"the cluster gave it up: {type(error).__name__}: {error}"))
