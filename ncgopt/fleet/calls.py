"""One function, called for many arguments, in child processes that may crash without harm."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any

from ncgopt.fleet.engine import Engine
from ncgopt.fleet.seats import FunctionSeat
from ncgopt.fleet.tasks import Done


def call_all(
    function: str,
    arguments: Iterable[tuple[Any, ...]],
    *,
    jobs: int = 1,
    engine: Engine | None = None,
    memory: int | None = None,
    timeout: float | None = None,
    say: Callable[[int, str], None] | None = None,
) -> Generator[Done]:
    """Call `function` for each tuple of arguments, `jobs` at once; tells of each as soon as it is done.

    Wrap it in `contextlib.closing`: that ends what runs when you leave early, Ctrl-C included. An error of one call
    (`Done.error`) leaves the others alone; a child that is killed from outside is begun again with the same call.

    Args:
        function: `"package.module:function"`, importable in a fresh interpreter; arguments and results are pickled.
        arguments: of each call.
        jobs: child processes at once, each with one thread for numpy and ONNX Runtime's verification.
        engine: where to do it instead of on this machine.
        memory: bytes that each child may hold; None for its share of three quarters of the machine's memory.
        timeout: seconds for one call; `WorkerDied` is its error where it takes longer.
        say: called with the index of a call and a line of text whenever it begins something.
    """
    chosen = engine or Engine(jobs=jobs)
    seat = FunctionSeat(function, memory or chosen.memory_share(), timeout)
    yield from chosen.run(seat, list(arguments), say)
