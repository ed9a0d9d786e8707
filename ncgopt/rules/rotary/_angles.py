"""Cosines and sines of rotary position embeddings, whose two halves are alike."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.operands import ints_operand, normalized_axes
from ncgopt.records import record
from ncgopt.rewrite import Tape

_MAX_STEPS = 8  # between the angles and the product: Cos or Sin, a scale, casts, and axes inserted or dropped
_MAX_ROWS = 2**20


@record
class Half:
    """The half of a table of cosines or sines that says all: `steps` applied to `source`, its last axis halved.

    Attributes:
        source: `[..., rows, half]`; a constant stands for its own first half, `[..., rows, 2 half]`.
        steps: operators, element by element, from the angles on.
        size: of the half.
    """

    source: ir.Value
    steps: tuple[ir.Node, ...]
    size: int

    def build(self, tape: Tape) -> ir.Value:
        """Record the table as `[rows, half]`; leading axes of the source are ones."""
        array = facts.constant(self.source)
        if array is not None:
            value = tape.constant(array[..., : self.size].reshape(-1, self.size))
        elif facts.rank(self.source) == 2:
            value = self.source
        else:
            value = tape.op("Reshape", [self.source, tape.constant(np.array([-1, self.size], dtype=np.int64))])
        for step in self.steps:
            value = tape.like(step, [value if _is_angles(v, step) else v for v in step.inputs])
        return value


def half_of(value: ir.Value, size: int, root: ir.Node) -> Half | None:
    """The half of `value`, whose last axis has `2 size` elements, where both halves certainly are alike."""
    steps: list[ir.Node] = []
    for _ in range(_MAX_STEPS):
        if facts.is_constant(value):
            return _of_constant(value, size, tuple(reversed(steps)))
        node = producer_beside(value, root)
        if node is None or node.domain:
            return None
        if node.op_type == "Concat":
            return _of_concat(node, size, tuple(reversed(steps)))
        below = _below(node)
        if below is None:
            return None
        if node.op_type not in ("Squeeze", "Unsqueeze"):
            steps.append(node)
        value = below
    return None


def _of_constant(value: ir.Value, size: int, steps: tuple[ir.Node, ...]) -> Half | None:
    dims = facts.static(value)
    if dims is None or not dims or dims[-1] != 2 * size or np.prod(dims) > _MAX_ROWS * size:
        return None
    array = facts.constant(value)
    if array is None or not np.array_equal(array[..., :size], array[..., size:]):
        return None
    return Half(value, steps, size)


def _of_concat(node: ir.Node, size: int, steps: tuple[ir.Node, ...]) -> Half | None:
    if len(node.inputs) != 2 or node.inputs[0] is not node.inputs[1] or node.inputs[0] is None:
        return None
    dims, axis = facts.shape(node.inputs[0]), facts.int_attribute(node, "axis")
    if not dims or axis not in (-1, len(dims) - 1) or dims[-1] != size:
        return None
    return Half(node.inputs[0], steps, size)


def _below(node: ir.Node) -> ir.Value | None:
    """What the elements of `node` are computed from one by one, in the same order and with the same last axis."""
    x = facts.input_of(node, 0)
    if node.op_type in ("Cos", "Sin", "Cast"):
        return x
    if node.op_type == "Mul":
        numbers = [v for v in node.inputs if v is not None and facts.scalar(v) is not None and facts.rank(v) in (0, 1)]
        return next((v for v in node.inputs if v not in numbers), None) if len(numbers) == 1 else None
    if node.op_type in ("Squeeze", "Unsqueeze") and x is not None:
        larger = node.outputs[0] if node.op_type == "Unsqueeze" else x
        axes, rank = ints_operand(node, "axes", 1), facts.rank(larger)
        counted = normalized_axes(axes, rank) if axes is not None and rank is not None else None
        return x if counted is not None and rank is not None and rank - 1 not in counted else None
    return None


def _is_angles(value: ir.Value | None, step: ir.Node) -> bool:
    return len(step.inputs) == 1 or not facts.is_constant(value)
