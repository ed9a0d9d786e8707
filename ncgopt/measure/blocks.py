"""One model or two, each in processes of its own, running in alternating blocks."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ncgopt.errors import Inconclusive
from ncgopt.measure.remote import Loaded
from ncgopt.runtime.process import Worker, WorkerDied
from ncgopt.runtime.session import LoadError, RunError
from ncgopt.settings import VerifySettings
from ncgopt.verify.cases import Case
from ncgopt.verify.inputs import Survey

_BLOCK_SECONDS = 0.04
_MIN_BLOCKS, _MAX_BLOCKS = 6, 200  # per model and process
_REMOTE = "ncgopt.measure.remote"


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        seconds: for all runs of all models together; loading and starting come on top.
        runs: runs per model instead; None for as many as fit into `seconds`.
        processes: processes per model, one after the other.
    """

    seconds: float = 5.0
    runs: int | None = None
    processes: int = 3


@dataclass
class Series:
    """What was measured of one model.

    Attributes:
        blocks: seconds to compare, of every run, block by block; those of two models belong together pairwise. With
            one thread ONNX Runtime works in the thread that calls it, and its processor time counts, which
            others who want the processor do not lengthen; with more, the clock on the wall.
        runs: seconds of every run, by the clock on the wall.
        loads: seconds of each session creation.
        peaks: bytes by which the memory of each process had grown at most, where that is known.
    """

    blocks: list[list[float]] = field(default_factory=list[list[float]])
    runs: list[float] = field(default_factory=list[float])
    loads: list[float] = field(default_factory=list[float])
    peaks: list[int] = field(default_factory=list[int])


def measure(
    paths: Sequence[Path],
    survey: Survey,
    case: Case,
    settings: VerifySettings,
    *,
    threads: int,
    effort: Effort,
    progress: Callable[[str], None] | None = None,
) -> list[Series]:
    """Run each model on the same inputs.

    Args:
        paths: one model or two.
        survey: of the first.
        case: the inputs.
        settings: custom operators, providers, memory.
        threads: intra-op threads of each session.
        effort: how long.
        progress: called with one line per process.

    Raises:
        Inconclusive: ONNX Runtime cannot load or run one of them; the message says which.
    """
    found = [Series() for _ in paths]
    order = list(range(len(paths)))
    for number in range(effort.processes):
        if progress is not None:
            progress(f"measuring, process {number + 1} of {effort.processes}")
        with contextlib.ExitStack() as stack:
            workers = [stack.enter_context(Worker(memory=settings.memory_limit)) for _ in paths]
            for worker in workers:
                worker.start(_REMOTE)
            loaded: dict[int, Loaded] = {}
            for index in order:
                one = loaded[index] = _open(workers[index], paths[index], survey, case, settings, threads)
                found[index].loads += one.loads
                found[index].peaks += [] if one.peak is None else [one.peak]
            sizes = _block_sizes(effort, number, max(one.first for one in loaded.values()))
            end = math.inf if effort.runs is not None else time.monotonic() + effort.seconds / effort.processes
            _alternate(workers, found, sizes, end, threads)
        order.reverse()
    return found


def _open(worker: Worker, path: Path, survey: Survey, case: Case, settings: VerifySettings, threads: int) -> Loaded:
    arguments = (path.absolute(), survey, case, settings, threads)
    try:
        return worker.call(f"{_REMOTE}:open_model", *arguments, timeout=settings.timeout)
    except (LoadError, RunError, WorkerDied) as error:
        raise Inconclusive(f"{path}: cannot be measured: {error}") from error


def _alternate(
    workers: Sequence[Worker], found: Sequence[Series], sizes: Sequence[int], end: float, threads: int
) -> None:
    """Blocks of so many runs, the models taking turns; after the least number of blocks, until `end`."""
    order = list(range(len(workers)))
    for number, size in enumerate(sizes):
        if number >= _MIN_BLOCKS and time.monotonic() >= end:
            break
        for index in order:
            wall, own = workers[index].call(f"{_REMOTE}:run_block", size)
            found[index].runs += wall
            found[index].blocks.append(own if threads == 1 else wall)
        order.reverse()  # whoever comes first finds the machine as the other one left it


def _block_sizes(effort: Effort, process: int, seconds: float) -> list[int]:
    """Runs per block of one process, for a model whose run takes so many seconds."""
    if effort.runs is None:
        return [max(1, round(_BLOCK_SECONDS / seconds))] * _MAX_BLOCKS
    runs = _shares(effort.runs, effort.processes)[process]
    blocks = max(_MIN_BLOCKS, min(_MAX_BLOCKS, round(runs * seconds / _BLOCK_SECONDS)))
    return [size for size in _shares(runs, blocks) if size]


def _shares(total: int, parts: int) -> list[int]:
    """As equal as whole numbers can be."""
    least, more = divmod(total, parts)
    return [least + (part < more) for part in range(parts)]
