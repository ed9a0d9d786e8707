"""Latency, load time and memory of one model, or of two against each other.

How the usual mistakes are avoided: every model runs in processes of its own, and blocks of their runs alternate
(`ncgopt.measure.blocks`), so that a change of clock speed or a busy neighbour hits both; threads do not spin while
they wait, because the spinning workers of one would take the processor from the other; the ratio comes with an
interval, a paired bootstrap over the blocks (`ncgopt.measure.ratio` has the sources), and a difference within it is
called none. Models are loaded as users load them, with all of ONNX Runtime's optimizations.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ncgopt.errors import Inconclusive
from ncgopt.measure.blocks import Effort, Series, measure
from ncgopt.measure.data import find_case
from ncgopt.measure.ratio import Ratio, ratio_of
from ncgopt.measure.trace import Kernel
from ncgopt.model import load
from ncgopt.runtime.process import Worker, WorkerDied
from ncgopt.runtime.session import LoadError, RunError
from ncgopt.settings import VerifySettings
from ncgopt.verify.cases import Case
from ncgopt.verify.inputs import Survey

_TRACED_SECONDS = 1.0
_TRACED_RUNS = 20
_DEFAULT = Effort()


def _silent(_: str) -> None:
    return


@dataclass(frozen=True)
class Profile:
    """Where the time of each model goes.

    Attributes:
        kernels: per model, longest first.
        machine: FLOP per second of a large matrix product with as many threads.
    """

    kernels: tuple[tuple[Kernel, ...], ...]
    machine: float


@dataclass(frozen=True)
class Latency:
    """What was measured of one model; times in seconds.

    Attributes:
        model: path as given.
        runs: how many were timed, warm-up left out.
        minimum, p50, p90, p95, p99: of all runs.
        load: the median session creation.
        peak_bytes: by how much loading and the first run made the process grow at most; the least over the
            processes, None where that is not known (only Linux tells).
    """

    model: str
    runs: int
    minimum: float
    p50: float
    p90: float
    p95: float
    p99: float
    load: float
    peak_bytes: int | None


@dataclass(frozen=True)
class Benchmark:
    """The result of a measurement.

    Attributes:
        models: one or two.
        ratio: latency of the first over that of the second; None for one model.
        verdict: what the second is, compared with the first, in words.
        load_ratio: load time of the first over that of the second, medians.
        threads: intra-op threads.
        data: where the inputs come from.
        binding: sizes of the symbolic dimensions.
        profile: where the time goes, if that was asked for.
    """

    models: tuple[Latency, ...]
    ratio: Ratio | None
    verdict: str
    load_ratio: float | None
    threads: int
    data: str
    binding: Mapping[str, int]
    profile: Profile | None = None


def compare_latency(
    models: Sequence[Path],
    settings: VerifySettings,
    *,
    threads: int = 1,
    effort: Effort = _DEFAULT,
    profile: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Benchmark:
    """Measure one or two models on the same inputs.

    Args:
        models: one or two ONNX files with the same inputs.
        settings: the inputs: `feeds` (at most one file), else generated ones; of the bindings of symbolic
            dimensions that the first model accepts, the one with the most elements is measured, so pin
            what matters with `bind`. Custom operators and providers count too.
        threads: intra-op threads of each session.
        effort: how long to measure.
        profile: also trace some runs, in processes of their own.
        progress: called with one line whenever something begins.

    Raises:
        InputUnreadable, ModelInvalid: a file is missing, damaged or no model.
        Usage: the feeds or bindings do not fit the model, or there are several feeds.
        Inconclusive: ONNX Runtime cannot load or run a model, or no inputs were found for it.
    """
    for path in models:
        load(path)  # tells a damaged file from a model that ONNX Runtime does not take
    paths = [path.absolute() for path in models]
    say = progress or _silent
    say("looking for inputs")
    survey, case = inputs_of(models[0], settings)
    series = measure(paths, survey, case, settings, threads=threads, effort=effort, progress=say)
    traced: Profile | None = None
    if profile:
        say("profiling")
        medians = [statistics.median(one.runs) for one in series]
        traced = _profile(paths, medians, survey, case, settings, threads)
    latencies = tuple(latency_of(path, one) for path, one in zip(models, series, strict=True))
    two = len(series) == 2
    ratio = ratio_of(series[0].blocks, series[1].blocks) if two else None
    return Benchmark(
        latencies, ratio, ratio.verdict if ratio is not None else "",
        latencies[0].load / latencies[1].load if two else None, threads, case.source, dict(case.binding), traced,
    )  # fmt: skip


def inputs_of(model: Path, settings: VerifySettings) -> tuple[Survey, Case]:
    """What a model expects, and inputs that it accepts, see `find_case`.

    Raises:
        Usage: the feeds or bindings do not fit the model, or there are several feeds.
        Inconclusive: ONNX Runtime cannot load or run it, or no inputs were found for it.
    """
    path = model.absolute()
    with Worker(memory=settings.memory_limit) as worker:
        try:
            survey: Survey = worker.call("ncgopt.verify.survey:survey", path)
            return survey, find_case(worker, path, survey, settings)
        except (LoadError, RunError, WorkerDied) as error:
            raise Inconclusive(f"{model}: cannot be measured: {error}") from error


def _profile(
    paths: Sequence[Path],
    medians: Sequence[float],
    survey: Survey,
    case: Case,
    settings: VerifySettings,
    threads: int,
) -> Profile:
    kernels: list[tuple[Kernel, ...]] = []
    machine = 0.0
    for path, median in zip(paths, medians, strict=True):
        runs = max(3, min(_TRACED_RUNS, round(_TRACED_SECONDS / max(median, 1e-6))))
        with Worker(memory=settings.memory_limit) as worker:
            try:
                found = worker.call("ncgopt.measure.remote:trace", path, survey, case, settings, threads, runs)
                machine = max(machine, worker.call("ncgopt.measure.remote:peak_flops", threads))
            except (LoadError, RunError, WorkerDied) as error:
                raise Inconclusive(f"{path}: cannot be profiled: {error}") from error
        kernels.append(tuple(found))
    return Profile(tuple(kernels), machine)


def latency_of(path: Path, series: Series) -> Latency:
    """The distribution of a series."""
    runs = np.asarray(series.runs)
    p50, p90, p95, p99 = (float(q) for q in np.quantile(runs, (0.5, 0.9, 0.95, 0.99)))
    return Latency(
        str(path), len(runs), float(runs.min()), p50, p90, p95, p99,
        statistics.median(series.loads), min(series.peaks, default=None),
    )  # fmt: skip
