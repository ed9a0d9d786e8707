"""The memory of a model: what is predicted for the graph that ONNX Runtime executes, and what a run takes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ncgopt.errors import Inconclusive
from ncgopt.measure.data import find_case
from ncgopt.memory.executed import executed, sizes
from ncgopt.memory.prediction import Prediction, expressions, predict
from ncgopt.runtime.process import Worker, WorkerDied
from ncgopt.runtime.session import LoadError, RunError
from ncgopt.settings import VerifySettings
from ncgopt.verify.inputs import Survey


@dataclass(frozen=True)
class MemoryReport:
    """What a run of a model takes, weights and inputs left out.

    Attributes:
        binding: sizes of the symbolic dimensions that the numbers hold for.
        prediction: buffers and steps.
        expressions: the peak over the symbols: the largest of these.
        measured: bytes that a run took; None where it was not measured.
    """

    binding: Mapping[str, int]
    prediction: Prediction
    expressions: tuple[str, ...]
    measured: int | None = None


def inspect_memory(path: Path, settings: VerifySettings, *, measure: bool = False) -> MemoryReport:
    """Predict the peak of a model's activations, and measure it where asked for.

    Args:
        path: an ONNX file.
        settings: `bind` has sizes of symbolic dimensions; those left out count as 1 for a prediction alone, and
            are what the model accepts where it is measured. Custom operators count too.
        measure: also run it.

    Raises:
        InputUnreadable, ModelInvalid: the file is missing, damaged or no model.
        Usage: the bindings do not fit the model.
        Inconclusive: ONNX Runtime cannot load or run it, or no inputs were found.
        Unavailable: this system does not tell what a run takes.
    """
    path = path.absolute()
    with Worker(memory=settings.memory_limit) as worker:
        try:
            survey: Survey = worker.call("ncgopt.verify.survey:survey", path)
            binding = {symbol.name: 1 for symbol in survey.symbols} | dict(settings.bind)
            case = find_case(worker, path, survey, settings) if measure else None
            if case is not None:
                binding = dict(case.binding)
            prediction, symbolic = worker.call("ncgopt.memory.look:predicted", path, binding)
            measured = None
            if case is not None:
                worker.close()  # what this process holds already would be used again
                measured = worker.call("ncgopt.memory.measured:peak_of_a_run", path, survey, case, settings)
        except (LoadError, RunError, WorkerDied) as error:
            raise Inconclusive(f"{path}: {error}") from error
    return MemoryReport(binding, prediction, symbolic, measured)


def predicted(path: Path, binding: Mapping[str, int]) -> tuple[Prediction, tuple[str, ...]]:
    """Run in the child: the prediction at a binding, and the peak over the symbols.

    Raises:
        LoadError: ONNX Runtime does not take the model.
    """
    with tempfile.TemporaryDirectory(prefix="ncgopt-") as name:
        folder = Path(name)
        model = executed(path, folder, optimize=True)
        symbolic = sizes(model, folder)
        bound = sizes(model, folder, binding) if binding else symbolic
        prediction = predict(model.graph, model.graph.node, symbolic, bound)
        peak = expressions(model.graph, model.graph.node, symbolic)
    return prediction, tuple(str(dim) for dim in peak)
