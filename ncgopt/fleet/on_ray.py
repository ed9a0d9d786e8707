"""Tasks on a Ray cluster, as tasks of Ray: one whose worker dies, and only that, is begun again.

joblib's backend runs on a pool of actors, which restarts none unless told, and may repeat what other calls had done.
"""

from __future__ import annotations

import importlib
import socket
from collections.abc import Callable, Generator, Sequence
from typing import Any

import ncgopt
from ncgopt.errors import OutOfResources, Unavailable
from ncgopt.fleet.seats import TRIES, Seat
from ncgopt.fleet.tasks import Done, perform

_POLL_SECONDS = 1.0
_CONNECT_SECONDS = 10.0


def run(jobs: int, address: str, seat: Seat, tasks: Sequence[Any], say: Callable[[int, str], None]) -> Generator[Done]:
    """See `Engine.run`; what tasks say as they run stays in the cluster.

    Raises:
        Unavailable: Ray is not installed, or nobody answers at the address.
    """
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError:
        raise Unavailable("--engine ray needs Ray: pip install 'ncgopt[ray]', also on its workers") from None
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, jobs, address)
    remote = ray.remote(perform).options(num_cpus=1, max_retries=TRIES - 1)
    running: dict[Any, int] = {}
    try:
        for index, task in enumerate(tasks):
            running[remote.remote(seat, index, task, ncgopt.__version__)] = index
        while running:
            ready, _ = ray.wait(list(running), num_returns=1, timeout=_POLL_SECONDS)
            for reference in ready:
                yield _done(ray, running.pop(reference), reference)
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
        if ours:
            ray.shutdown()


def _connect(ray: Any, jobs: int, address: str) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "configure_logging": True}
    if address:
        _require_somebody(address)
        try:
            ray.init(address, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise Unavailable(f"no Ray cluster answers at {address}: {error}") from error
        return
    ray.init(num_cpus=jobs, include_dashboard=False, _node_ip_address="127.0.0.1", **quiet)


def _require_somebody(address: str) -> None:
    """Fail soon where nobody answers: Ray itself tries for minutes, and ends the process then.

    Raises:
        Unavailable: nobody does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return  # `auto`, or the name of a session, which Ray looks up
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        raise Unavailable(f"no Ray cluster answers at {address}: {error.strerror or error}") from error


def _done(ray: Any, index: int, reference: Any) -> Done:
    try:
        done: Done = ray.get(reference)
        return done
    except Exception as error:  # `WorkerCrashedError` and what else the cluster has: the task returns its own
        text = str(error).strip().partition("\n")[0]
        return Done(index, error=OutOfResources(f"the cluster gave it up: {type(error).__name__}: {text}"))
