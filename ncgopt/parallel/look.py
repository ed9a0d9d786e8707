"""Work and span of a model, by modelled cost or as measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from ncgopt.cost import shapes
from ncgopt.errors import Inconclusive, Usage
from ncgopt.measure.latency import inputs_of
from ncgopt.model import load
from ncgopt.parallel.modelled import modelled_steps
from ncgopt.parallel.workspan import Step, WorkSpan, speedup, work_span
from ncgopt.runtime.process import Worker, WorkerDied
from ncgopt.runtime.session import LoadError, RunError
from ncgopt.settings import VerifySettings

WORKERS = (2, 4, 8)


@dataclass(frozen=True)
class OnPath:
    """One operator's part in the critical path."""

    operator: str
    nodes: int
    seconds: float


@dataclass(frozen=True)
class ParallelReport:
    """What could run at the same time in one run of a model.

    Attributes:
        source: `modelled` (the graph of the file, cost on paper) or `measured` (ONNX Runtime's own graph, its
            profiler's times, one thread).
        binding: sizes of the symbolic dimensions that this holds for.
        steps: all nodes that count, in a topological order.
        found: work, span, the critical path and the widest level.
        operators: of the critical path, those that take longest first.
        speedups: workers, and how many times as fast as one they would be by a greedy schedule, if handing work
            over took no time and workers did not share caches and memory.
        untold: nodes whose time is not known; they count as nothing.
    """

    source: str
    binding: Mapping[str, int]
    steps: tuple[Step, ...]
    found: WorkSpan
    operators: tuple[OnPath, ...]
    speedups: Mapping[int, float]
    untold: int


def inspect_parallel(
    path: Path, settings: VerifySettings, *, measure: bool = False, trust_links: bool = False
) -> ParallelReport:
    """Find out how much of a model could run at the same time.

    Args:
        path: an ONNX file.
        settings: `bind` has sizes of symbolic dimensions; those left out count as 1, or are what the model accepts
            where it is measured. Feeds, custom operators and providers count where it is measured.
        measure: run it under ONNX Runtime's profiler.
        trust_links: accept external data behind links that leave the model's folder.

    Raises:
        InputUnreadable, ModelInvalid: the file is missing, damaged or no model.
        Usage: the bindings or feeds do not fit the model.
        Inconclusive: ONNX Runtime cannot load or run it, or no inputs were found.
    """
    loaded = load(path, trust_links=trust_links)
    if not measure:
        _require_known(loaded.model, settings.bind)
        return _report("modelled", settings.bind, modelled_steps(loaded.model, settings.bind), 0)
    survey, case = inputs_of(path, settings)
    with Worker(memory=settings.memory_limit) as worker:
        call = "ncgopt.parallel.measured:measured_steps"
        try:
            steps, untold = worker.call(call, path.absolute(), survey, case, settings, timeout=settings.timeout)
        except (LoadError, RunError, WorkerDied) as error:
            raise Inconclusive(f"{path}: cannot be profiled: {error}") from error
    return _report("measured", dict(case.binding), steps, untold)


def _require_known(model: ir.Model, binding: Mapping[str, int]) -> None:
    """A name that is spelled wrong would count as 1 without a word; where the model runs, the search says so."""
    known = shapes.symbols(model)
    dims = {dim for value in (*model.graph.inputs, *model.graph.outputs) for dim in value.shape or ()}
    for name in binding:
        if name not in known and ir.SymbolicDim(name) not in dims:
            raise Usage(f"no symbolic dimension {name} to bind; the model has {', '.join(sorted(known)) or 'none'}")


def _report(source: str, binding: Mapping[str, int], steps: list[Step], untold: int) -> ParallelReport:
    found = work_span(steps)
    parts: dict[str, list[float]] = {}
    for place in found.critical:
        parts.setdefault(steps[place].operator, []).append(steps[place].seconds)
    operators = sorted(
        (OnPath(name, len(times), sum(times)) for name, times in parts.items()), key=lambda one: -one.seconds
    )
    speedups = {workers: speedup(steps, workers) for workers in WORKERS}
    return ParallelReport(source, binding, tuple(steps), found, tuple(operators), speedups, untold)
