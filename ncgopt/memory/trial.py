"""What a changed model would take: asked of ONNX Runtime, in the child process, about a copy."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from ncgopt import facts
from ncgopt import model as models
from ncgopt.dimensions import is_name
from ncgopt.errors import Usage
from ncgopt.facts import symbols
from ncgopt.memory.executed import SIZELESS, executed, sizes
from ncgopt.memory.prediction import Prediction, predict
from ncgopt.runtime.process import WorkerDied
from ncgopt.runtime.session import LoadError

_FIRST, _SIDE, _OTHER = 1, 224, 128  # sizes of symbols: batches, sides of images, lengths of sequences


def default_binding(graph: ir.Graph, given: Mapping[str, int]) -> dict[str, int]:
    """A size for every symbol of the inputs: `given`, else one for batches, 224 for images, 128 for sequences."""
    found: dict[str, int] = {}
    for value in graph.inputs:
        for axis, dim in enumerate(value.shape or ()):
            if isinstance(dim, int):
                continue
            text = dim.value or ""
            name = text if is_name(text) else f"{value.name}[{axis}]"
            usual = _FIRST if axis == 0 else _SIDE if len(value.shape or ()) == 4 and axis >= 2 else _OTHER
            found.setdefault(name, usual)
    return found | {name: size for name, size in given.items() if name in found}


def bindings(texts: Iterable[str]) -> dict[str, int]:
    """What `NAME=N` says.

    Raises:
        Usage: one of them says something else.
    """
    found: dict[str, int] = {}
    for text in texts:
        name, _, size = text.rpartition("=")
        if not name or not size.isdecimal() or not int(size):
            raise Usage(f"{text!r} is no size of a dimension; say NAME=N with N of 1 or more")
        found[name] = int(size)
    return found


@dataclass(frozen=True)
class Trials:
    """Predictions for models that exist in memory only.

    Attributes:
        compute: calls a function in the child (`Session.compute`).
        binding: sizes of symbols.
    """

    compute: Callable[..., Prediction]
    binding: Mapping[str, int]

    def of(self, model: ir.Model) -> Prediction | None:
        """What a run would take; None where ONNX Runtime does not take the model."""
        with tempfile.TemporaryDirectory(prefix="ncgopt-") as folder:
            path = Path(folder) / "candidate.onnx"
            models.write_beside(model, path)
            try:
                return self.compute("ncgopt.memory.trial:of_file", path, self.binding)
            except (LoadError, WorkerDied):
                return None

    def size(self, value: ir.Value) -> int:
        """Bytes of a value; 0 where they are not known."""
        dims, dtype = facts.shape(value), facts.dtype(value)
        if dims is None or dtype is None or dtype in SIZELESS:
            return 0
        count = symbols.evaluate(symbols.product(dims), dict(self.binding))
        return 0 if count is None else (count * dtype.bitwidth + 7) // 8


def of_file(path: Path, binding: Mapping[str, int]) -> Prediction:
    """Run in the child: the prediction at a binding.

    Raises:
        LoadError: ONNX Runtime does not take the model.
    """
    with tempfile.TemporaryDirectory(prefix="ncgopt-") as name:
        folder = Path(name)
        model = executed(path, folder, optimize=True)
        symbolic = sizes(model, folder)
        bound = sizes(model, folder, binding) if binding else symbolic
        return predict(model.graph, model.graph.node, symbolic, bound)
