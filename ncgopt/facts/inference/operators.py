"""What is known of a node's outputs: ONNX's own inference, with symbols seen through where it loses them."""

from __future__ import annotations

from collections.abc import Callable

from ncgopt.facts import symbols
from ncgopt.facts.inference import broadcasting, indexing, reshaping, schema, sequences, spatial
from ncgopt.facts.inference.view import NodeView
from ncgopt.facts.symbols import Dim
from ncgopt.facts.types import UNKNOWN, Shape, ValueType

_First = Callable[[NodeView], "Shape | None"]

# Only operators of the default domain. Each answers for its first output, or for all that have one shape.
_SHAPES: dict[str, _First] = {
    **dict.fromkeys(broadcasting.OPERATORS, broadcasting.elementwise),
    "MatMul": broadcasting.matmul,
    "Reshape": reshaping.reshape,
    "Flatten": reshaping.flatten,
    "Expand": reshaping.expand,
    "Concat": reshaping.concat,
    "ConstantOfShape": reshaping.constant_of_shape,
    "Tile": reshaping.tile,
    "Range": reshaping.range_,
    "Squeeze": reshaping.squeeze,
    "Unsqueeze": reshaping.unsqueeze,
    "Slice": indexing.slice_,
    "Pad": indexing.pad,
    "TopK": indexing.top_k,
    "OneHot": indexing.one_hot,
    "NonZero": indexing.non_zero,
    "Conv": spatial.conv,
    "ConvInteger": spatial.conv,
    "MaxPool": spatial.pool,
    "AveragePool": spatial.pool,
    "LpPool": spatial.pool,
    "GlobalAveragePool": spatial.global_pool,
    "GlobalMaxPool": spatial.global_pool,
    "Resize": spatial.resize,
    "Upsample": spatial.resize,
    "DepthToSpace": spatial.depth_to_space,
    "SpaceToDepth": spatial.space_to_depth,
}


def types_of_outputs(view: NodeView) -> list[ValueType]:
    """Element type and shape of every output of a node without subgraphs."""
    types = schema.infer(view)
    if view.node.domain:
        return types
    if view.node.op_type == "PRelu":
        # ONNX's inference gives x's shape; ONNX Runtime lets a larger slope enlarge it, against the standard.
        return [ValueType(types[0].dtype, broadcasting.elementwise(view))]
    if reshaping.counts_from_the_end(view):
        return [ValueType(types[0].dtype, reshaping.from_the_end(view))]
    if view.node.op_type == "SequenceAt":
        return [sequences.sequence_at(view) or types[0]]
    if view.node.op_type == "Split":
        parts = reshaping.split(view)
        shapes: list[Shape | None] = [None] * len(types) if parts is None else [*parts]
    else:
        follow = _SHAPES.get(view.node.op_type)
        shapes = [follow(view) if follow is not None else None] * len(types)
    return [_merged(known, shape) for known, shape in zip(types, shapes, strict=True)]


def _merged(known: ValueType, shape: Shape | None) -> ValueType:
    """Two answers about one value; a contradiction means that the model is wrong somewhere: nothing is known."""
    if shape is None:
        return known
    if known.shape is None:
        return ValueType(known.dtype, shape)
    if len(known.shape) != len(shape) or any(symbols.differ(a, b) for a, b in zip(known.shape, shape, strict=True)):
        return UNKNOWN if known.dtype is None else ValueType(known.dtype, None)
    return ValueType(known.dtype, tuple(_better(a, b) for a, b in zip(known.shape, shape, strict=True)))


def _better(standard: Dim, own: Dim) -> Dim:
    if isinstance(standard, int) or own is None:
        return standard
    return own
