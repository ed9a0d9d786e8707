"""How low the values of an additive mask can be: whether one of them may be minus infinity."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record

_MAX_DEPTH = 24
_MOVES = frozenset(
    {"Identity", "Expand", "Reshape", "Unsqueeze", "Squeeze", "Transpose", "Slice", "Gather", "Tile", "Flatten"}
)


@record
class Bounds:
    """Every element lies between `low` and `high`, or is minus infinity where `minus_inf` says that it may be."""

    low: float
    high: float
    minus_inf: bool = False


def bounds(value: ir.Value | None, depth: int = _MAX_DEPTH) -> Bounds | None:
    """Bounds of a tensor of floats, as far as constants, selections and booleans prove them; None for unknown."""
    if value is None or depth == 0:
        return None
    if facts.is_constant(value):
        return _of_constant(value)
    node = facts.producer(value)
    if node is None or node.domain:
        return None
    if node.op_type in _MOVES:
        return bounds(facts.input_of(node, 0), depth - 1)
    compute = _BY_OPERATOR.get(node.op_type)
    found = compute(node, depth - 1) if compute is not None else None
    return _representable(found, value) if found is not None else None


def _of_constant(value: ir.Value) -> Bounds | None:
    array = facts.constant(value)
    if array is None or array.size == 0 or array.dtype.kind not in "fiu":
        return None
    numbers = array.astype(np.float64)
    minus_inf = np.isneginf(numbers)
    rest = numbers[~minus_inf]
    if not np.isfinite(rest).all():
        return None
    low, high = (float(rest.min()), float(rest.max())) if rest.size else (0.0, 0.0)
    return Bounds(low, high, bool(minus_inf.any()))


def _representable(found: Bounds, value: ir.Value) -> Bounds | None:
    """What rounds to an infinity is one."""
    kind = facts.dtype(value)
    if kind is None or kind not in (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE):
        return None
    largest = float(np.finfo(kind.numpy()).max)
    if math.isnan(found.low) or math.isnan(found.high) or found.high > largest:
        return None
    return Bounds(max(found.low, -largest), found.high, found.minus_inf or found.low < -largest)


def _selected(node: ir.Node, depth: int) -> Bounds | None:
    a, b = (bounds(facts.input_of(node, k), depth) for k in (1, 2))
    if a is None or b is None:
        return None
    return Bounds(min(a.low, b.low), max(a.high, b.high), a.minus_inf or b.minus_inf)


def _concatenated(node: ir.Node, depth: int) -> Bounds | None:
    parts = [bounds(v, depth) for v in node.inputs]
    known = [p for p in parts if p is not None]
    if len(known) != len(parts) or not known:
        return None
    return Bounds(min(p.low for p in known), max(p.high for p in known), any(p.minus_inf for p in known))


def _cast(node: ir.Node, depth: int) -> Bounds | None:
    x = facts.input_of(node, 0)
    if x is not None and facts.dtype(x) == ir.DataType.BOOL:
        return Bounds(0.0, 1.0)
    return bounds(x, depth)


def _sum(node: ir.Node, depth: int) -> Bounds | None:
    a, b = (bounds(facts.input_of(node, k), depth) for k in (0, 1))
    if a is None or b is None:
        return None
    return Bounds(a.low + b.low, a.high + b.high, a.minus_inf or b.minus_inf)


def _difference(node: ir.Node, depth: int) -> Bounds | None:
    a, b = (bounds(facts.input_of(node, k), depth) for k in (0, 1))
    if a is None or b is None or b.minus_inf:
        return None
    return Bounds(a.low - b.high, a.high - b.low, a.minus_inf)


def _product(node: ir.Node, depth: int) -> Bounds | None:
    a, b = (bounds(facts.input_of(node, k), depth) for k in (0, 1))
    if a is None or b is None or a.minus_inf or b.minus_inf:
        return None
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return Bounds(min(corners), max(corners))


_BY_OPERATOR: dict[str, Callable[[ir.Node, int], Bounds | None]] = {
    "Where": _selected,
    "Concat": _concatenated,
    "Cast": _cast,
    "Add": _sum,
    "Sub": _difference,
    "Mul": _product,
}
