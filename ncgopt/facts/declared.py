"""Where a model declares what cannot be: an element type, rank or size that contradicts what is proven.

Facts never rest on a declared inner shape, so nothing goes wrong in ncgopt; but other tools believe
it, and whoever made the model should know. A symbol, or a size where we know only a symbol, is no
contradiction: the two may be equal.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from ncgopt.facts import shapes
from ncgopt.facts.nesting import graphs_within
from ncgopt.facts.types import Dim
from ncgopt.report import Contradiction


def contradictions(model: ir.Model) -> list[Contradiction]:
    """All of them, in graph order; `facts.survey` must have been called for it."""
    return [found for value in _computed(model) if (found := _contradiction(value)) is not None]


def _computed(model: ir.Model) -> Iterator[ir.Value]:
    for graph in [model.graph, *(function.graph for function in model.functions.values())]:
        for inner in graphs_within(graph):
            for node in inner:
                yield from (value for value in node.outputs if value.name)


def _contradiction(value: ir.Value) -> Contradiction | None:
    if isinstance(value.type, ir.TensorType) and value.type.dtype.value:
        proven = shapes.dtype(value)
        if proven is not None and proven != value.type.dtype:
            return Contradiction(value.name or "", _text(value.type.dtype), _text(proven))
    dims = shapes.shape(value) if value.shape is not None else None
    if dims is None or value.shape is None:
        return None
    declared = tuple(d if isinstance(d, int) else d.value for d in value.shape)
    if len(declared) == len(dims) and not any(_differ(a, b) for a, b in zip(declared, dims, strict=True)):
        return None
    return Contradiction(value.name or "", _dims(declared), _dims(dims))


def _differ(declared: Dim, proven: Dim) -> bool:
    return isinstance(declared, int) and isinstance(proven, int) and declared != proven


def _text(dtype: ir.DataType) -> str:
    return dtype.name.lower()


def _dims(dims: tuple[Dim, ...]) -> str:
    return f"[{','.join('?' if d is None else str(d) for d in dims)}]"
