"""Reading a Slice with constant bounds, in its attribute and input forms."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.operands import ints_operand, is_given, normalized_axes
from ncgopt.records import record

TO_THE_END = 2**31 - 1
"""The end that the specification recommends where the length of the axis is unknown."""
_LARGEST = 2**63 - 1


@record
class Range:
    """`start:end:step` along one axis, as written: ends beyond the axis mean its end."""

    start: int
    end: int
    step: int


def ranges(node: ir.Node) -> dict[int, Range] | None:
    """The range per axis of a Slice; None where a bound is not constant or an axis cannot be counted."""
    starts, ends = ints_operand(node, "starts", 1), ints_operand(node, "ends", 2)
    if starts is None or ends is None:
        return None
    axes = ints_operand(node, "axes", 3) if is_given(node, "axes", 3) else tuple(range(len(starts)))
    steps = ints_operand(node, "steps", 4) if is_given(node, "steps", 4) else (1,) * len(starts)
    if axes is None or steps is None or not len(starts) == len(ends) == len(axes) == len(steps):
        return None
    x = facts.input_of(node, 0)
    counted = normalized_axes(axes, facts.rank(x) if x is not None else None)
    if counted is None or len(set(counted)) != len(counted):
        return None
    return {axis: Range(*bounds) for axis, *bounds in zip(counted, starts, ends, steps, strict=True)}


def is_whole(r: Range, d: facts.Dim) -> bool:
    """Whether the range takes all of an axis of length `d`."""
    return r.start == 0 and r.step == 1 and (r.end >= TO_THE_END or (isinstance(d, int) and r.end >= d))


def composed(first: Range, second: Range) -> Range | None:
    """The range that takes `second` out of what `first` takes; None where that needs the length.

    With bounds that count from the front and steps of 1, element k of the first result is element
    `first.start + k` of the axis.
    """
    if first.step != 1 or second.step != 1 or min(first.start, first.end, second.start, second.end) < 0:
        return None
    start, end = first.start + second.start, min(first.end, first.start + second.end)
    return Range(start, end, 1) if max(start, end) <= _LARGEST else None


def taken(node: ir.Node, axis: int, length: int) -> tuple[int, ...] | None:
    """The indices that a Slice takes along `axis`, of that length; None where unknown, or it cuts along others too."""
    found = ranges(node)
    if found is None or set(found) != {axis} or found[axis].step == 0:
        return None
    bounds = found[axis]
    return tuple(range(length)[slice(bounds.start, bounds.end, bounds.step)])
