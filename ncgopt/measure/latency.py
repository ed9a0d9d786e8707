"""Latency of one model, or of two against each other, in one child process.

How the usual mistakes are avoided: both sessions live in the same process and their runs alternate, so
that a change of clock speed or a busy neighbour hits both; threads do not spin while they wait, because
the spinning workers of one session would take the processor from the other; what counts is the median
and the minimum, not the mean. Sessions are loaded as users load them, with all optimizations.
"""

from __future__ import annotations

import dataclasses
import gc
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ncgopt.errors import Inconclusive, Usage
from ncgopt.model import load
from ncgopt.runtime.process import Worker, WorkerDied
from ncgopt.runtime.session import LoadError, RunError, Session, Value, open_session
from ncgopt.runtime.stage import stage
from ncgopt.settings import VerifySettings
from ncgopt.verify.cases import Case
from ncgopt.verify.feeds import make_feeds
from ncgopt.verify.inputs import Survey
from ncgopt.verify.original import Child, Clock, Original
from ncgopt.verify.search import CaseSearch
from ncgopt.verify.userfeeds import load_feeds

_WARMUPS = 3
_SECONDS = 5.0  # measured time that the number of rounds is chosen for
_MIN_ROUNDS, _MAX_ROUNDS = 10, 1000


@dataclass(frozen=True)
class Latency:
    """Seconds per run of one model.

    Attributes:
        model: path as given.
        median: the middle of all runs.
        minimum: the fastest run.
        spread: distance of the quartiles of all runs; compare it with the difference you look for.
    """

    model: str
    median: float
    minimum: float
    spread: float


@dataclass(frozen=True)
class Benchmark:
    """The result of a measurement.

    Attributes:
        models: one or two.
        ratio: median of the first over median of the second, above 1 where the second is faster; None
            for one model.
        rounds: runs per model, warm-up left out.
        threads: intra-op threads.
        data: where the inputs come from.
        binding: sizes of the symbolic dimensions.
    """

    models: tuple[Latency, ...]
    ratio: float | None
    rounds: int
    threads: int
    data: str
    binding: Mapping[str, int]


def compare_latency(
    models: Sequence[Path], settings: VerifySettings, *, threads: int = 1, rounds: int | None = None
) -> Benchmark:
    """Measure one or two models on the same inputs.

    Args:
        models: one or two ONNX files with the same inputs.
        settings: the inputs: `feeds` (at most one file), else generated ones; of the bindings of symbolic
            dimensions that the first model accepts, the one with the most elements is measured, so pin
            what matters with `bind`. Custom operators and providers count too.
        threads: intra-op threads of each session.
        rounds: runs per model; chosen for about five seconds without it, at least 10.

    Raises:
        InputUnreadable, ModelInvalid: a file is missing, damaged or no model.
        Usage: the feeds or bindings do not fit the model, or there are several feeds.
        Inconclusive: ONNX Runtime cannot load or run a model, or no inputs were found for it.
    """
    if len(settings.feeds) > 1:
        raise Usage("a benchmark takes one file of feeds")
    for path in models:
        load(path)  # tells a damaged file from a model that ONNX Runtime does not take
    paths = [path.absolute() for path in models]
    with Worker(memory=settings.memory_limit) as worker:
        try:
            survey: Survey = worker.call("ncgopt.verify.survey:survey", paths[0])
            case = _case(worker, paths[0], survey, settings)
            times = worker.call("ncgopt.measure.latency:time_models", paths, survey, case, settings, threads, rounds)
        except (LoadError, RunError, WorkerDied) as error:
            raise Inconclusive(f"{models[0]}: cannot be measured: {error}") from error
    latencies = tuple(_latency(path, seconds) for path, seconds in zip(models, times, strict=True))
    ratio = latencies[0].median / latencies[1].median if len(latencies) == 2 else None
    return Benchmark(latencies, ratio, len(times[0]), threads, case.source, dict(case.binding))


def time_models(
    paths: Sequence[Path],
    survey: Survey,
    case: Case,
    settings: VerifySettings,
    threads: int,
    rounds: int | None,
) -> list[list[float]]:
    """Run in the child: seconds of every run of every model, models taking turns.

    Raises:
        LoadError, RunError: ONNX Runtime cannot load or run one of the models.
    """
    sessions: list[Session] = []
    for path in paths:
        stage(f"loading {path}")
        sessions.append(
            open_session(
                path, optimize=True, custom_ops=settings.custom_ops, providers=settings.providers, threads=threads
            )
        )
    feeds = make_feeds(survey.inputs, dict(case.binding), case.draw) if case.file is None else {}
    if case.file is not None:
        feeds.update(load_feeds(case.file, survey)[0])
    stage(f"running ({case})")
    warm = min(sum(_timed(session, feeds) for session in sessions) for _ in range(_WARMUPS))
    if rounds is None:
        rounds = min(_MAX_ROUNDS, max(_MIN_ROUNDS, math.ceil(_SECONDS / max(warm, 1e-9))))
    times: list[list[float]] = [[] for _ in sessions]
    order = list(range(len(sessions)))
    gc.disable()
    try:
        for _ in range(rounds):
            for index in order:
                times[index].append(_timed(sessions[index], feeds))
            order.reverse()  # whoever comes first finds the caches as the other one left them
    finally:
        gc.enable()
    return times


def _timed(session: Session, feeds: Mapping[str, Value]) -> float:
    given = {port.name: feeds[port.name] for port in session.inputs if port.name in feeds}
    start = time.perf_counter()
    session.run(given)
    return time.perf_counter() - start


def _case(worker: Worker, path: Path, survey: Survey, settings: VerifySettings) -> Case:
    """The user's feeds, or the largest generated ones that the model accepts."""
    if settings.feeds:
        file = settings.feeds[0].absolute()
        _, binding = worker.call("ncgopt.verify.userfeeds:load_feeds", file, survey)
        return Case(tuple(sorted(binding.items())), file=file)
    child = Child(worker, dataclasses.replace(settings, draws=1), Clock(settings.timeout))
    original = Original(child, path, survey, optimize=True)
    found = CaseSearch(original, 1, settings.seed).run()
    cases = [case for case in found.cases if not case.overrides]
    if not cases:
        refusals = [*original.crashes, *found.refusals]
        raise Inconclusive(
            f"{path}: refused all inputs that were tried" + (f", for example: {refusals[0]}" if refusals else "")
        )
    worker.call("ncgopt.verify.remote:release")
    return max(cases, key=lambda case: math.prod(size for _, size in case.binding))


def _latency(path: Path, seconds: Sequence[float]) -> Latency:
    quartiles = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else [0.0, 0.0, 0.0]
    return Latency(str(path), statistics.median(seconds), min(seconds), quartiles[2] - quartiles[0])
