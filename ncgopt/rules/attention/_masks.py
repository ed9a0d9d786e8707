"""What is added to the scores before the softmax, or replaces some of them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Tape

# A number at least this low, added to scores of any sensible size, leaves nothing of them and of their
# softmax: replacing scores by it and adding it are the same.
_OVERWHELMS = {ir.DataType.FLOAT: -1e30, ir.DataType.FLOAT16: -6e4}


@record
class Added:
    """`scores + value`."""

    value: ir.Value

    @property
    def dims(self) -> facts.Shape | None:
        """The dimensions of the addend."""
        return facts.shape(self.value)

    def build(self, tape: Tape) -> ir.Value:
        """The addend itself."""
        return self.value


@record
class Selected:
    """`Where(condition, scores, number)`, or with the branches exchanged unless `keeps`."""

    condition: ir.Value
    number: float
    keeps: bool
    dtype: ir.DataType

    @property
    def dims(self) -> facts.Shape | None:
        """The dimensions of the addend."""
        return facts.shape(self.condition)

    def build(self, tape: Tape) -> ir.Value:
        """The addend: zero where the scores are kept."""
        kind = self.dtype.numpy()
        zero, low = tape.constant(np.array(0, dtype=kind)), tape.constant(np.array(self.number, dtype=kind))
        return tape.op("Where", [self.condition, zero, low] if self.keeps else [self.condition, low, zero])


Mask = Added | Selected


def read_selection(node: ir.Node, scores: int) -> Selected | None:
    """`node`, a Where with the scores as input number `scores`, if what replaces them is low enough."""
    condition, other = node.inputs[0], node.inputs[3 - scores]
    number = facts.scalar(other) if other is not None else None
    kind = facts.dtype(node.outputs[0])
    if condition is None or other is None or number is None or kind is None or kind not in _OVERWHELMS:
        return None
    if not number <= _OVERWHELMS[kind] or (facts.rank(other) or 0) > (facts.rank(condition) or 0):
        return None
    return Selected(condition, float(number), scores == 1, kind)


def as_selection(mask: Mask) -> Mask:
    """An addend that is zero where a condition holds and one low number elsewhere, as that selection."""
    node = facts.producer(mask.value, "Where") if isinstance(mask, Added) else None
    if node is None or not isinstance(mask, Added):
        return mask
    condition, kind = node.inputs[0], facts.dtype(mask.value)
    kept, dropped = (facts.scalar(node.inputs[k]) for k in (1, 2))
    if condition is None or kind is None or kept is None or dropped is None or 0 not in (kept, dropped):
        return mask
    if facts.shape(condition) is None or facts.shape(condition) != mask.dims:
        return mask
    number = dropped if kept == 0 else kept
    return Selected(condition, float(number), kept == 0, kind) if number < 0 else mask


def broadcast(shapes: list[facts.Shape | None]) -> facts.Shape | None:
    """The shape that these broadcast to, where it is certain."""
    result: list[facts.Dim] = []
    for dims in shapes:
        if dims is None or None in dims:
            return None
        result = [1] * (len(dims) - len(result)) + result
        padded = [1] * (len(result) - len(dims)) + list(dims)
        for axis, (a, b) in enumerate(zip(result, padded, strict=True)):
            if a != b and 1 not in (a, b):
                return None
            result[axis] = b if a == 1 else a
    return tuple(result)
