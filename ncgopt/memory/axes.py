"""Which operators can be computed in pieces along an axis of their result, and which pieces of their inputs that takes.

From the definitions of the operators: element by element, row by row, window by window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts import Dim, symbols

Range = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """How places of a result lie over places of an input: kernel, stride and padding along one spatial axis."""

    reach: int
    stride: int
    before: int
    length: int

    def of(self, piece: Range) -> Range:
        """The places of the input that a piece of the result needs, those in the padding left out."""
        start, end = self._unclipped(piece)
        return max(start, 0), min(end, self.length)

    def pads(self, piece: Range) -> tuple[int, int]:
        """Padding that is left for a piece, before and after."""
        start, end = self._unclipped(piece)
        return max(-start, 0), max(end - self.length, 0)

    def _unclipped(self, piece: Range) -> Range:
        start = piece[0] * self.stride - self.before
        return start, (piece[1] - 1) * self.stride - self.before + self.reach


@dataclass(frozen=True)
class Along:
    """An input is needed in pieces along `axis`: the same places as those of the result, or windows over them."""

    axis: int
    window: Window | None = None


# Per input: None where it is needed as a whole.
Parts = list[Along | None]

_UNARY = frozenset(
    {
        *("Relu", "LeakyRelu", "ThresholdedRelu", "Elu", "Selu", "Celu", "Clip", "HardSigmoid", "HardSwish", "Shrink"),
        *("Sigmoid", "Tanh", "Softplus", "Softsign", "Erf", "Exp", "Log", "Sqrt", "Neg", "Abs", "Reciprocal", "Gelu"),
        *("Mish", "Cast", "Identity", "Not", "Floor", "Ceil", "Round", "Sin", "Cos"),
    }
)
_BROADCASTING = frozenset(
    {
        *("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "PRelu", "Where", "And", "Or", "Xor"),
        *("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"),
    }
)
_UNARY_CONTRIB = frozenset({"QuickGelu", "FastGelu", "Gelu", "BiasGelu"})
_BROADCASTS_SINCE = 7
_SOFTMAX_ONE_AXIS_SINCE = 13


def parts(node: ir.Node, axis: int) -> Parts | None:
    """What pieces along an axis of the first output take of each input; None where it cannot be computed in pieces."""
    if len(node.outputs) != 1 or node.attributes.data.keys() & {"axes_ref"}:
        return None
    if node.domain == "com.microsoft" and node.op_type in _UNARY_CONTRIB:
        return _broadcast(node, axis)
    if node.domain:
        return None
    if node.op_type in _UNARY:
        return [Along(axis), *([None] * (len(node.inputs) - 1))]
    if node.op_type in _BROADCASTING:
        return _broadcast(node, axis) if (node.version or 1) >= _BROADCASTS_SINCE else None
    known = _OPERATORS.get(node.op_type)
    return known(node, axis) if known is not None else None


def _aligned(value: ir.Value | None, dims: facts.Shape, axis: int) -> Along | bool | None:
    """How an operand that is broadcast to `dims` takes part; False where that is not known."""
    if value is None:
        return None
    own = facts.shape(value)
    if own is None:
        return False
    at = axis - (len(dims) - len(own))
    if at < 0 or own[at] == 1:
        return None
    return Along(at) if own[at] == dims[axis] else False


def _broadcast(node: ir.Node, axis: int) -> Parts | None:
    dims = facts.shape(node.outputs[0])
    if dims is None:
        return None
    found = [_aligned(value, dims, axis) for value in node.inputs]
    return [one for one in found if not isinstance(one, bool)] if not any(one is False for one in found) else None


def _rank(node: ir.Node) -> int | None:
    return facts.rank(node.outputs[0])


def _own_axis(node: ir.Node) -> int | None:
    """The attribute `axis`, counted from the front."""
    rank, axis = _rank(node), facts.int_attribute(node, "axis")
    return None if rank is None or axis is None else axis % rank


def _softmax(node: ir.Node, axis: int) -> Parts | None:
    own = _own_axis(node)
    if own is None:
        return None
    free = axis != own if (node.version or 1) >= _SOFTMAX_ONE_AXIS_SINCE else axis < own
    return [Along(axis)] if free else None


def _layer_normalization(node: ir.Node, axis: int) -> Parts | None:
    own = _own_axis(node)
    return _broadcast(node, axis) if own is not None and axis < own else None  # a scale may differ from row to row


def _batch_normalization(node: ir.Node, axis: int) -> Parts | None:
    if facts.int_attribute(node, "training_mode") or facts.int_attribute(node, "spatial") == 0:
        return None
    return [Along(axis), *([Along(0) if axis == 1 else None] * (len(node.inputs) - 1))]


def _transpose(node: ir.Node, axis: int) -> Parts | None:
    rank = _rank(node)
    if rank is None:
        return None
    perm = facts.ints_attribute(node, "perm") or tuple(reversed(range(rank)))
    return [Along(perm[axis])]


def _matmul(node: ir.Node, axis: int) -> Parts | None:
    dims, ranks = facts.shape(node.outputs[0]), [facts.rank(v) for v in node.inputs if v is not None]
    if dims is None or len(ranks) != 2 or None in ranks or min(r or 0 for r in ranks) < 2:
        return None
    a, b = ranks[0] or 0, ranks[1] or 0
    if axis == len(dims) - 2:
        return [Along(a - 2), None]
    if axis == len(dims) - 1:
        return [None, Along(b - 1)]
    return _broadcast(node, axis)


def _gemm(node: ir.Node, axis: int) -> Parts | None:
    dims = facts.shape(node.outputs[0])
    if dims is None:
        return None
    turned = facts.int_attribute(node, "transA" if axis == 0 else "transB")
    side = Along((1 if turned else 0) if axis == 0 else (0 if turned else 1))
    bias = _aligned(node.inputs[2], dims, axis) if len(node.inputs) > 2 else None
    if isinstance(bias, bool):
        return None
    return [side, None, bias][: len(node.inputs)] if axis == 0 else [None, side, bias][: len(node.inputs)]


def _conv(node: ir.Node, axis: int) -> Parts | None:
    x, w = facts.input_of(node, 0), facts.input_of(node, 1)
    dims, weight = (facts.shape(v) if v is not None else None for v in (x, w))
    groups = facts.int_attribute(node, "group")
    if dims is None or weight is None or groups is None:
        return None
    rest: Parts = [None] * (len(node.inputs) - 1)
    if axis == 0:
        return [Along(0), *rest]
    if axis == 1:
        own: Parts = [Along(0)] * (len(node.inputs) - 1)
        if groups == 1:
            return [None, *own]
        return [Along(1), *own] if groups == dims[1] == weight[0] else None
    return _spatial(node, axis, dims, weight[axis], rest)


def _pool(node: ir.Node, axis: int) -> Parts | None:
    x = facts.input_of(node, 0)
    dims, kernel = facts.shape(x) if x is not None else None, facts.ints_attribute(node, "kernel_shape")
    if dims is None or kernel is None or facts.int_attribute(node, "ceil_mode"):
        return None
    return [Along(axis)] if axis < 2 else _spatial(node, axis, dims, kernel[axis - 2], [])


def _spatial(node: ir.Node, axis: int, dims: facts.Shape, kernel: Dim, rest: Parts) -> Parts | None:
    spatial, length = len(dims) - 2, dims[axis]
    strides = facts.ints_attribute(node, "strides") or (1,) * spatial
    dilations = facts.ints_attribute(node, "dilations") or (1,) * spatial
    pads = facts.ints_attribute(node, "pads") or (0,) * (2 * spatial)
    if facts.string_attribute(node, "auto_pad") not in (None, "NOTSET", "VALID") or not isinstance(kernel, int):
        return None
    if not isinstance(length, int) or {len(strides), len(dilations), len(pads) // 2} != {spatial}:
        return None
    at = axis - 2
    return [Along(axis, Window((kernel - 1) * dilations[at] + 1, strides[at], pads[at], length)), *rest]


def _concat(node: ir.Node, axis: int) -> Parts | None:
    own = _own_axis(node)
    return [Along(axis) for _ in node.inputs] if own is not None and axis != own else None


def _reshape(node: ir.Node, axis: int) -> Parts | None:
    """An axis stays what it is where as many elements lie before it; the pieces are of the same place in memory."""
    x = facts.input_of(node, 0)
    before, after = facts.shape(x) if x is not None else None, facts.shape(node.outputs[0])
    target = facts.constant(facts.input_of(node, 1))
    if before is None or after is None or target is None or node.op_type != "Reshape":
        return None
    if target[axis] == 0 or facts.int_attribute(node, "allowzero"):
        return None
    ahead = symbols.product(after[:axis])
    for at, dim in enumerate(before):
        if dim == after[axis] and dim is not None and symbols.product(before[:at]) == ahead is not None:
            copied = at < len(target) and target[at] == 0  # by another axis, which stays as long as it is
            return None if copied else [Along(at), None]
    return None


_OPERATORS: dict[str, Callable[[ir.Node, int], Parts | None]] = {
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "LayerNormalization": _layer_normalization,
    "BatchNormalization": _batch_normalization,
    "Transpose": _transpose,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _conv,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "Concat": _concat,
    "Reshape": _reshape,
}


def contracted(node: ir.Node) -> Parts | None:
    """The inputs along which a node sums up, so that its result is the sum of those of pieces; None for others.

    A bias, which must count once, is needed as a whole.
    """
    if node.domain or len(node.outputs) != 1:
        return None
    shapes = [facts.shape(v) if v is not None else None for v in node.inputs[:2]]
    if len(shapes) < 2 or shapes[0] is None or shapes[1] is None:
        return None
    a, b = len(shapes[0]), len(shapes[1])
    rest: Parts = [None] * (len(node.inputs) - 2)
    if node.op_type == "MatMul" and a >= 2 and b == 2:
        return [Along(a - 1), Along(0)]
    if node.op_type == "Conv" and facts.int_attribute(node, "group") == 1:
        return [Along(1), Along(1), *rest]
    return None
