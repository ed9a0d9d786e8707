"""The steps of a model as ONNX Runtime executes it: its own graph, each node as long as its profiler says."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence, Set
from pathlib import Path

import onnx

from ncgopt.measure.data import feeds_of
from ncgopt.measure.trace import Kernel, read_trace
from ncgopt.parallel.workspan import Step
from ncgopt.runtime.session import Session, open_session
from ncgopt.runtime.stage import stage
from ncgopt.settings import VerifySettings
from ncgopt.verify.cases import Case
from ncgopt.verify.inputs import Survey

_SECONDS = 2.0
_RUNS = (3, 30)


def measured_steps(path: Path, survey: Survey, case: Case, settings: VerifySettings) -> tuple[list[Step], int]:
    """Run in a child: a step per node of ONNX Runtime's graph, one thread, and how many the profiler did not time.

    Those count as nothing; the time of a node with bodies is that of all that it runs. ONNX Runtime writes down the
    graph that it made, whose nodes often have no name or share one; it is profiled as it is, under names of ours.

    Args:
        path: the model.
        survey: of it.
        case: the inputs.
        settings: custom operators and providers.

    Raises:
        LoadError, RunError: ONNX Runtime cannot load or run the model.
    """
    feeds = feeds_of(case, survey)
    stage(f"profiling {path}")
    with tempfile.TemporaryDirectory(prefix="ncgopt-") as name:
        folder = Path(name)
        made = folder / "made.onnx"
        first = _session(path, settings, optimize=True, save_as=made)
        graph = _with_names(made, {port.name for port in first.inputs})
        session = _session(made, settings, optimize=False)
        given = {port.name: feeds[port.name] for port in session.inputs if port.name in feeds}
        start = time.perf_counter()
        session.run(given)
        runs = _runs(time.perf_counter() - start)
        (folder / "trace").mkdir()
        session = _session(made, settings, optimize=False, profile=folder / "trace")
        for _ in range(runs + 1):
            session.run(given)
        kernels = read_trace(session.end_profile(), None, runs)
    return _steps(graph, kernels)


def _session(
    path: Path, settings: VerifySettings, *, optimize: bool, save_as: Path | None = None, profile: Path | None = None
) -> Session:
    return open_session(
        path, optimize=optimize, custom_ops=settings.custom_ops, providers=settings.providers, save_as=save_as,
        profile=profile,
    )  # fmt: skip


def _with_names(path: Path, inputs: Set[str]) -> onnx.GraphProto:
    """The graph in a file; its nodes get names there that the profiler's events can be told by.

    An input with a default that ONNX Runtime has folded is still listed there, and has lost its default.
    """
    model = onnx.ModelProto.FromString(path.read_bytes())
    graph = onnx.GraphProto()
    graph.CopyFrom(model.graph)
    known = inputs | {tensor.name for tensor in graph.initializer}
    wanted = [value for value in graph.input if value.name in known]
    del model.graph.input[:]
    model.graph.input.extend(wanted)
    for place, node in enumerate(model.graph.node):
        node.name = _name(place)
    path.write_bytes(model.SerializeToString())
    return graph


def _name(place: int) -> str:
    return f"ncgopt node {place}"


def _runs(seconds: float) -> int:
    least, most = _RUNS
    return max(least, min(most, round(_SECONDS / max(seconds, 1e-6))))


def _steps(graph: onnx.GraphProto, kernels: Sequence[Kernel]) -> tuple[list[Step], int]:
    times = {kernel.name: kernel.seconds for kernel in kernels}
    made: dict[str, int] = {}
    steps: list[Step] = []
    for place, node in enumerate(graph.node):
        after = tuple(sorted({made[name] for name in _read_by(node) if name in made}))
        steps.append(Step(node.name, node.op_type, times.get(_name(place), 0.0), after))
        made.update((name, place) for name in node.output if name)
    return steps, sum(_name(place) not in times for place in range(len(graph.node)))


def _read_by(node: onnx.NodeProto) -> Iterator[str]:
    """Names that a node reads, and that its bodies may capture."""
    yield from node.input
    for attribute in node.attribute:
        for body in (attribute.g, *attribute.graphs):
            for inner in body.node:
                yield from _read_by(inner)
            yield from (value.name for value in body.output)
