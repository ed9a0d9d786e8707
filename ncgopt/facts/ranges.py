"""Between which numbers the elements of a tensor lie, as far as the operators that make them say so.

Everything is forward and conservative: an interval holds for every element that is not NaN, infinities
included. Nothing is known of inputs of the model but what their element type says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from ncgopt.facts import attributes, constants, shapes, uses
from ncgopt.records import record

_MAX_DEPTH = 24
_KEEPS = frozenset({
    "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Slice", "Gather", "GatherElements",
    "GatherND", "Expand", "Tile", "MaxPool", "GlobalMaxPool", "Split", "DepthToSpace", "SpaceToDepth",
    "ReverseSequence", "Compress",
})  # fmt: skip
"""Operators whose result holds elements of the first input and nothing else."""


@record
class Interval:
    """Every element that is not NaN is at least `low` and at most `high`."""

    low: float = -math.inf
    high: float = math.inf

    def within(self, low: float, high: float) -> bool:
        """Whether nothing lies outside `low` and `high`."""
        return low <= self.low and self.high <= high


_ANY = Interval()
_UNIT = Interval(0.0, 1.0)
_FIXED: dict[str, Interval] = {
    "Sigmoid": _UNIT, "HardSigmoid": _UNIT, "Softmax": _UNIT, "Exp": Interval(0.0), "Softplus": Interval(0.0),
    "Sqrt": Interval(0.0), "Abs": Interval(0.0), "Tanh": Interval(-1.0, 1.0), "Erf": Interval(-1.0, 1.0),
    "Sin": Interval(-1.0, 1.0), "Cos": Interval(-1.0, 1.0), "Softsign": Interval(-1.0, 1.0),
    "LogSoftmax": Interval(high=0.0),
    "Shape": Interval(0.0), "Size": Interval(0.0), "NonZero": Interval(0.0), "ReduceL1": Interval(0.0),
    "ReduceL2": Interval(0.0), "ReduceSumSquare": Interval(0.0), "Sign": Interval(-1.0, 1.0),
}  # fmt: skip

_WRAPPING = frozenset({"Abs", "ReduceL1", "ReduceL2", "ReduceSumSquare"})  # the lowest integer has no positive


def interval(value: ir.Value | None) -> Interval:
    """Where the elements of `value` lie; everything where nothing is known."""
    return _interval(value, _MAX_DEPTH)


def is_non_negative(value: ir.Value | None) -> bool:
    """Whether no element is below zero; -0.0 and NaN may occur."""
    return interval(value).low >= 0


def _interval(value: ir.Value | None, depth: int) -> Interval:
    if value is None or depth == 0:
        return _ANY
    if constants.is_constant(value):
        return _of_constant(value)
    node = uses.producer(value)
    found = _of_node(node, depth) if node is not None and not node.domain else _ANY
    return _meet(found, _of_type(value))


def _of_constant(value: ir.Value) -> Interval:
    array = constants.constant(value)
    if array is None or array.size == 0 or array.dtype.kind not in "fiub":
        return _ANY
    exact = array.astype(np.float64)
    if np.isnan(exact).all():
        return _ANY
    return Interval(float(np.nanmin(exact)), float(np.nanmax(exact)))


def _of_type(value: ir.Value) -> Interval:
    kind = shapes.dtype(value)
    if kind == ir.DataType.BOOL:
        return _UNIT
    if kind is not None and kind.is_integer() and not kind.is_signed():
        return Interval(0.0)
    return _ANY


def _of_node(node: ir.Node, depth: int) -> Interval:
    fixed = _FIXED.get(node.op_type)
    if fixed is not None:
        wraps = node.op_type in _WRAPPING and not shapes.is_float(node.outputs[0])
        return _ANY if wraps else fixed
    if node.op_type == "Cast":
        return _of_cast(node, depth)
    if node.op_type in _KEEPS:
        return _interval(uses.input_of(node, 0), depth - 1)
    rule = _RULES.get(node.op_type)
    return rule(node, [_interval(v, depth - 1) for v in node.inputs]) if rule is not None else _ANY


def _of_cast(node: ir.Node, depth: int) -> Interval:
    """Between floats a Cast is monotone; a narrow integer wraps, so only what surely fits passes."""
    inner = _interval(uses.input_of(node, 0), depth - 1)
    kind = shapes.dtype(node.outputs[0])
    if kind in (ir.DataType.FLOAT, ir.DataType.DOUBLE):
        return inner if inner.within(-(2.0**24), 2.0**24) else Interval(0.0 if inner.low >= 0 else -math.inf)
    if kind in (ir.DataType.INT32, ir.DataType.INT64) and inner.within(-(2.0**30), 2.0**30):
        return Interval(math.floor(inner.low), math.ceil(inner.high))
    return _ANY


def _meet(a: Interval, b: Interval) -> Interval:
    return Interval(max(a.low, b.low), min(a.high, b.high))


def _join(parts: Sequence[Interval]) -> Interval:
    return Interval(min(p.low for p in parts), max(p.high for p in parts)) if parts else _ANY


def _relu(node: ir.Node, parts: Sequence[Interval]) -> Interval:
    return Interval(max(0.0, parts[0].low), max(0.0, parts[0].high))


def _add(node: ir.Node, parts: Sequence[Interval]) -> Interval:
    """Rounding is monotone, so that sums of bounds bound sums; integers may wrap, so that only small ones count."""
    low, high = (sum(getattr(p, end) for p in parts) for end in ("low", "high"))
    if math.isnan(low) or math.isnan(high):
        return _ANY
    return _unless_wrapping(node, Interval(low, high))


def _mul(node: ir.Node, parts: Sequence[Interval]) -> Interval:
    a, b = parts
    if node.inputs[0] is node.inputs[1]:
        return _unless_wrapping(node, Interval(0.0, max(a.low**2, a.high**2)))
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    # 0 times infinity is NaN, which an interval says nothing about: as a bound it counts as 0.
    corners = [0.0 if math.isnan(c) else c for c in corners]
    return _unless_wrapping(node, Interval(min(corners), max(corners)))


def _unless_wrapping(node: ir.Node, found: Interval) -> Interval:
    kind = shapes.dtype(node.outputs[0])
    if shapes.is_float(node.outputs[0]):
        return found
    wide = kind in (ir.DataType.INT32, ir.DataType.INT64)
    return found if wide and found.within(-(2.0**30), 2.0**30) else _ANY


def _concat(node: ir.Node, parts: Sequence[Interval]) -> Interval:
    return _join(parts)


def _where(node: ir.Node, parts: Sequence[Interval]) -> Interval:
    return _join(parts[1:])


def _max(node: ir.Node, parts: Sequence[Interval]) -> Interval:
    return Interval(max(p.low for p in parts), max(p.high for p in parts))


def _min(node: ir.Node, parts: Sequence[Interval]) -> Interval:
    return Interval(min(p.low for p in parts), min(p.high for p in parts))


def _clip(node: ir.Node, parts: Sequence[Interval]) -> Interval:
    """Bounds out of order make every element the upper one: a lower bound says nothing where the other is fed."""
    low, high = _bound(node, 1, "min", -math.inf), _bound(node, 2, "max", math.inf)
    x = parts[0]
    if high is None or math.isnan(high):
        return _ANY
    if low is None:
        return Interval(min(x.low, high), high)
    if not low <= high:
        return _ANY
    return Interval(min(max(x.low, low), high), max(min(x.high, high), low))


def _bound(node: ir.Node, index: int, name: str, absent: float) -> float | None:
    """A bound of a Clip; None where it is not known."""
    if (node.version or 1) < 11:
        return attributes.float_attribute(node, name)
    value = uses.input_of(node, index)
    return absent if value is None else constants.scalar(value)


def _average(node: ir.Node, parts: Sequence[Interval]) -> Interval:
    """Padding counts as zero; sums are rounded, so that only the sign is sure."""
    if not shapes.is_float(node.outputs[0]):
        return _ANY
    return Interval(0.0 if parts[0].low >= 0 else -math.inf, 0.0 if parts[0].high <= 0 else math.inf)


def _pow(node: ir.Node, parts: Sequence[Interval]) -> Interval:
    exponent = constants.scalar(uses.input_of(node, 1))
    even = exponent is not None and float(exponent).is_integer() and int(exponent) % 2 == 0
    return Interval(0.0) if shapes.is_float(node.outputs[0]) and (even or parts[0].low > 0) else _ANY


def _div(node: ir.Node, parts: Sequence[Interval]) -> Interval:
    a, b = parts
    return Interval(0.0) if shapes.is_float(node.outputs[0]) and a.low >= 0 and b.low > 0 else _ANY


def _mod(node: ir.Node, parts: Sequence[Interval]) -> Interval:
    divisor = constants.scalar(uses.input_of(node, 1))
    integers = shapes.is_integer(node.outputs[0]) and attributes.int_attribute(node, "fmod") == 0
    return Interval(0.0, float(divisor) - 1) if integers and divisor is not None and divisor > 0 else _ANY


def _index_of(node: ir.Node, parts: Sequence[Interval]) -> Interval:
    x, axis = uses.input_of(node, 0), attributes.int_attribute(node, "axis")
    dims = shapes.shape(x) if x is not None else None
    if dims is None or axis is None or not -len(dims) <= axis < len(dims):
        return Interval(0.0)
    length = dims[axis]
    return Interval(0.0, float(length) - 1) if isinstance(length, int) else Interval(0.0)


_RULES: dict[str, Callable[[ir.Node, Sequence[Interval]], Interval]] = {
    "Relu": _relu, "Add": _add, "Sum": _add, "Mul": _mul, "Concat": _concat, "Where": _where, "Max": _max, "Min": _min,
    "Clip": _clip, "AveragePool": _average, "GlobalAveragePool": _average, "ReduceMean": _average,
    "ReduceSum": _average, "Pow": _pow, "Div": _div, "Mod": _mod, "ArgMax": _index_of, "ArgMin": _index_of,
}  # fmt: skip
