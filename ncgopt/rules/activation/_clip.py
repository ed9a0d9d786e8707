"""The bounds of a Clip: attributes before opset 11, constant inputs since."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Tape

INPUTS_SINCE = 11


@record
class Bound:
    """One end of a Clip.

    Attributes:
        number: what it clips at; an infinity where it is left out.
        value: the constant input that holds the number; None before opset 11, where it is left out,
            and where no input holds it yet.
        absent: whether it is left out. Not the same as an infinity: ONNX Runtime then clips at the
            largest finite number of the type.
    """

    number: float | int
    value: ir.Value | None = None
    absent: bool = False


@record
class Bounds:
    """Both ends; `low.number <= high.number`, neither is NaN or -0.0, and some finite number lies between."""

    low: Bound
    high: Bound

    def apply(self, bound: Bound) -> Bound:
        """`bound` clipped into these bounds; where two are equal, the one that is left out, as that clips more."""
        larger = _on_tie(bound, self.low) if bound.number == self.low.number else max(bound, self.low, key=_number)
        return _on_tie(larger, self.high) if larger.number == self.high.number else min(larger, self.high, key=_number)

    def after(self, inner: Bounds) -> Bounds:
        """The bounds of the one Clip that does what clipping at `inner` and then at these does.

        Clipping is non-decreasing and moves what lies between the bounds nowhere, so that two in a row
        clip at what the second makes of the first one's bounds, also where the two do not overlap.
        """
        return Bounds(self.apply(inner.low), self.apply(inner.high))


def bounds(clip: ir.Node) -> Bounds | None:
    """The bounds of a Clip; None where they are not known or out of order."""
    if (clip.version or 1) < INPUTS_SINCE:
        low, high = (_attribute(clip, name) for name in ("min", "max"))
    else:
        low, high = (_input(clip, index) for index in (1, 2))
    if low is None or high is None or not low.number <= high.number:
        return None
    return Bounds(low, high) if low.number < math.inf and high.number > -math.inf else None


def clip(tape: Tape, x: ir.Value, found: Bounds, name: str | None) -> ir.Value:
    """Record a Clip in the form that belongs to the opset in force.

    Raises:
        ValueError: a bound has to become a constant, and the element type of x is not known.
    """
    if tape.opsets.get("", 1) < INPUTS_SINCE:
        return tape.op("Clip", [x], {"min": float(found.low.number), "max": float(found.high.number)}, name=name)
    return tape.op("Clip", [x, _operand(tape, x, found.low), _operand(tape, x, found.high)], name=name)


def _operand(tape: Tape, x: ir.Value, bound: Bound) -> ir.Value | None:
    if bound.value is not None or bound.absent:
        return bound.value
    dtype = facts.dtype(x)
    if dtype is None:
        raise ValueError("the element type of a bound is not known")
    return tape.constant(np.array(bound.number, dtype.numpy()))


def _attribute(node: ir.Node, name: str) -> Bound | None:
    number = facts.float_attribute(node, name)
    return Bound(number) if number is not None and _is_plain(number) else None


def _input(node: ir.Node, index: int) -> Bound | None:
    value = facts.input_of(node, index)
    if value is None:
        return Bound(-math.inf if index == 1 else math.inf, absent=True)
    number = cast("float | int | None", facts.scalar(value))
    return Bound(number, value) if number is not None and _is_plain(number) else None


def _is_plain(number: float | int) -> bool:
    """Whether it is neither NaN nor -0.0: which zero comes out of a Clip at -0.0 is not specified."""
    return not math.isnan(number) and not (number == 0 and math.copysign(1, number) < 0)


def _number(bound: Bound) -> float | int:
    return bound.number


def _on_tie(a: Bound, b: Bound) -> Bound:
    return a if a.absent or (a.value is not None and not b.absent) else b
