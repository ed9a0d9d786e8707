"""Whole numbers that pass through floats on their way: where nothing is lost of them."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import onnx_ir as ir

from ncgopt.facts import symbols
from ncgopt.facts.inference.view import Contents, NodeView
from ncgopt.facts.symbols import Dim

_INT32 = 2**31

# Up to here a float of the type holds every whole number.
_EXACT = {
    ir.DataType.FLOAT: 2**24,
    ir.DataType.DOUBLE: 2**53,
    ir.DataType.FLOAT16: 2**11,
    ir.DataType.BFLOAT16: 2**8,
}


def whole_numbers(array: np.ndarray[Any, Any] | None, limit: int) -> Contents | None:
    """A constant of floats, at most `limit` of them; numbers with a fraction are left unknown."""
    if array is None or array.size > limit or array.dtype.kind != "f":
        return None
    numbers = cast("list[float]", array.reshape(-1).tolist())
    return _array([int(n) if abs(n) < _INT32 and n == int(n) else None for n in numbers], array.shape)


def capped(view: NodeView, limit: int) -> Contents | None:
    """`Cast(Min(Cast(sizes), caps))`: sizes that opset 9 could only cap as floats, as PyTorch exported them then.

    Rounding never changes the order of two numbers. A size beyond what the float type holds exactly
    is rounded to something that is still beyond a cap that the type does hold, and comes out as the cap.
    """
    value = view.value(0)
    node = value.producer() if value is not None else None
    if node is None or node.domain or node.op_type != "Min" or len(node.inputs) != 2 or value is None:
        return None
    exact = _EXACT.get(view.type_of(value).dtype or ir.DataType.UNDEFINED)
    for sizes, caps in (node.inputs, node.inputs[::-1]):
        cast_node = sizes.producer() if sizes is not None else None
        numbers = whole_numbers(view.array_of(caps), limit) if caps is not None else None
        if cast_node is None or cast_node.domain or cast_node.op_type != "Cast" or numbers is None or exact is None:
            continue
        source = cast_node.inputs[0]
        found = view.contents_of(source) if source is not None else None
        if found is not None and found.shape == numbers.shape:
            pairs = zip(cast("list[Dim]", found.reshape(-1).tolist()), numbers.reshape(-1).tolist(), strict=True)
            return _array([_capped(size, cap, exact) for size, cap in pairs], found.shape)
    return None


def _array(elements: list[Dim], shape: tuple[int, ...]) -> Contents:
    made = np.empty(len(elements), dtype=object)
    made[:] = elements
    return cast(Contents, made.reshape(shape))


def _capped(size: Dim, cap: Dim, exact: int) -> Dim:
    if not isinstance(cap, int) or abs(cap) > exact or not symbols.is_at_least(size, -exact):
        return None
    return symbols.minimum(size, cap)
