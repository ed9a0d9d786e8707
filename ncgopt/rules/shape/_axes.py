"""Writing operators that take their axes as an attribute in old opsets and as an input in newer ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt.facts.operands import normalized_axes
from ncgopt.rewrite import Tape


def same_axes(a: Sequence[int], b: Sequence[int], rank: int | None) -> bool:
    """Whether both name the same axes of a tensor of that rank (None: unknown), in any order."""
    if sorted(a) == sorted(b):
        return True
    left, right = normalized_axes(a, rank), normalized_axes(b, rank)
    return left is not None and right is not None and sorted(left) == sorted(right)


def squeeze(tape: Tape, op_type: str, x: ir.Value, axes: Sequence[int]) -> ir.Value:
    """Record a Squeeze or Unsqueeze: its axes are an input from opset 13 on."""
    if tape.opsets.get("", 1) < 13:
        return tape.op(op_type, [x], {"axes": tuple(axes)})
    return tape.op(op_type, [x, tape.constant(np.array(axes, dtype=np.int64))])


def merged_axes(inner: Sequence[int], outer: Sequence[int]) -> tuple[int, ...]:
    """Where the axes of two successive insertions (or removals, read backwards) lie in the larger tensor.

    `inner` counts axes of the tensor in between, `outer` those of the larger one; none is negative.
    An axis of the tensor in between is the k-th that `outer` leaves over.
    """
    left_over = [axis for axis in range(len(outer) + max(inner, default=-1) + 1) if axis not in outer]
    return tuple(sorted((*outer, *(left_over[axis] for axis in inner))))
