"""Take the rows that are used before the operators that work on each row alone."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.operands import normalized_axes
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Rule, Tape
from ncgopt.rules.shape._slices import TO_THE_END, ranges

_UNARY = (
    "Abs", "Cast", "Ceil", "Clip", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log",
    "Mish", "Neg", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Softplus", "Softsign", "Sqrt", "Tanh",
    "com.microsoft::FastGelu", "com.microsoft::QuickGelu", "com.microsoft::Gelu",
)  # fmt: skip
_BINARY = ("Add", "Sub", "Mul", "Div", "Pow", "Sum")
_NORMALIZATIONS = ("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization", "Softmax", "LogSoftmax")


@record
class Match:
    """`selection(node(...))` along `axis`, which `node` treats row by row.

    Attributes:
        moved: inputs of `node` that are selected from; the others have no such axis.
        drops_axis: whether the selection takes the axis out (a Gather of a single index).
    """

    selection: ir.Node
    node: ir.Node
    axis: int
    moved: tuple[int, ...]
    drops_axis: bool


class ReorderRowSelection(Rule[Match]):
    """`Gather(LayerNormalization(x), i, axis=1)` becomes `LayerNormalization(Gather(x, i, axis=1))`.

    The same for Slice, and for everything that computes a row of its result from the same row of its
    input: products with a constant matrix, biases, activations, normalizations of the last axis, sums of
    two such tensors. Step by step the selection rises to where rows meet, and all that lies between is
    computed for the rows that are used: the first token of a classifier, the last one of a language
    model. ROUNDS, because a product of fewer rows may be summed in another order.
    """

    name = "reorder-row-selection"
    claim = Claim.ROUNDS
    root = ("Gather", "Slice")
    since_opset = 7
    unconditional = "a row of the result is made of the same row of the operands; the pattern holds nothing else"
    pays = (
        Pays[Match]("sole-user", "all rows are computed anyway", lambda m: facts.sole_user(m.node.outputs[0])),
        Pays[Match]("fewer-rows", "as many rows as before", lambda m: _selects_less(m)),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the operator and which of its inputs have the axis."""
        out = node.inputs[0]
        source = producer_beside(out, node, *_UNARY, *_BINARY, *_NORMALIZATIONS, "MatMul")
        rank = facts.rank(out) if out is not None else None
        axis = _axis(node, rank) if rank is not None else None
        if source is None or rank is None or axis is None or len(source.outputs) > 1 or (source.version or 1) < 7:
            return None
        drops = node.op_type == "Gather" and facts.rank(node.inputs[1] or ir.Value()) == 0
        moved = _moved(source, axis, rank, drops=drops)
        return Match(node, source, axis, moved, drops) if moved else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The selection of each operand, then the operator."""
        inputs = list(m.node.inputs)
        made: dict[ir.Value, ir.Value] = {}
        for index in m.moved:
            value = inputs[index]
            if value is None:
                raise ValueError("an operand is left out")
            if value not in made:
                made[value] = _selected(tape, m, value)
            inputs[index] = made[value]
        result = tape.like(m.node, inputs)
        copy = result.producer()
        if copy is not None and "axis" in copy.attributes:
            copy.attributes["axis"] = ir.AttrInt64("axis", -1)
        return [result]


def _selected(tape: Tape, m: Match, value: ir.Value) -> ir.Value:
    made = tape.like(m.selection, [value, *m.selection.inputs[1:]])
    copy = made.producer()
    if copy is not None and m.selection.op_type == "Gather":
        copy.attributes["axis"] = ir.AttrInt64("axis", m.axis)
    return made


def _axis(node: ir.Node, rank: int) -> int | None:
    """The one axis along which rows are selected, if it is not the last."""
    if node.op_type == "Gather":
        given = facts.int_attribute(node, "axis")
        index = facts.rank(node.inputs[1]) if node.inputs[1] is not None else None
        axes = normalized_axes((given,), rank) if given is not None and index in (0, 1) else None
    else:
        found = ranges(node)
        axes = tuple(found) if found is not None and len(found) == 1 else None
    return axes[0] if axes is not None and axes[0] < rank - 1 else None


def _moved(source: ir.Node, axis: int, rank: int, *, drops: bool) -> tuple[int, ...]:
    """The inputs that have the axis as the result has it; empty where that is not known, or the rows are not alone."""
    if source.op_type in _BINARY:
        return _of_binary(source, axis, rank, drops=drops)
    x = source.inputs[0]
    if x is None or facts.rank(x) != rank:
        return ()
    if source.op_type == "MatMul":
        matrix = source.inputs[1]
        return (0,) if matrix is not None and facts.rank(matrix) == 2 else ()
    if source.op_type in _NORMALIZATIONS:
        given = facts.int_attribute(source, "axis")
        old = source.op_type in ("Softmax", "LogSoftmax") and (source.version or 1) < 13
        return (0,) if given in (-1, rank - 1) and not old and _spans_last(source) else ()
    return (0,)


def _spans_last(source: ir.Node) -> bool:
    """Whether scale and bias have no axis but the last."""
    return all(value is None or facts.rank(value) == 1 for value in source.inputs[1:])


def _of_binary(source: ir.Node, axis: int, rank: int, *, drops: bool) -> tuple[int, ...]:
    moved: list[int] = []
    shape = facts.shape(source.outputs[0])
    for index, value in enumerate(source.inputs):
        own = facts.shape(value) if value is not None else None
        if own is None or shape is None:
            return ()
        place = axis - (rank - len(own))
        if place < 0:
            continue
        if len(own) != rank or own[place] is None or own[place] != shape[axis]:
            return ()  # broadcast along the axis, or of another rank: what is left would not line up
        moved.append(index)
    others = [v for index, v in enumerate(source.inputs) if v is not None and index not in moved]
    if drops and any((facts.rank(v) or 0) > rank - 1 - axis for v in others):
        return ()
    return tuple(moved)


def _selects_less(m: Match) -> bool:
    """Whether fewer rows are left than there were: one of a number that is not one, or fewer of a known number."""
    shape = facts.shape(m.selection.inputs[0] or ir.Value())
    rows = shape[m.axis] if shape is not None else None
    if m.drops_axis or _takes_last(m.selection, m.axis):
        return rows != 1
    out = facts.shape(m.selection.outputs[0])
    left = out[m.axis] if out is not None else None
    if left == 1:
        return rows != 1
    return isinstance(left, int) and isinstance(rows, int) and left < rows


def _takes_last(selection: ir.Node, axis: int) -> bool:
    """Whether a Slice takes the last row, if there is one."""
    found = ranges(selection) if selection.op_type == "Slice" else None
    return found is not None and found[axis].start == -1 and found[axis].step == 1 and found[axis].end >= TO_THE_END
