"""What constant nodes give whose arithmetic leaves no choice: integers that do not wrap, and single IEEE operations.

An addition, subtraction, multiplication or division of two float32 or float64, and a square root of one, is
rounded once, and IEEE 754 says how; a comparison or selection is not rounded at all. Whatever computes it, the bits
are these, NaN aside, of which there is no answer here. So small computations on sizes, masks and scales need no child
process. Where a node is not known in every detail, there is no answer either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array

_MOST = 1 << 20  # elements; what is larger is no size, mask or scale, and the child is faster
_SIMPLE = {np.dtype(kind) for kind in ("bool", "int32", "int64", "float32", "float64")}
_FLOATS = {np.dtype("float32"), np.dtype("float64")}
_Compute = Callable[[ir.Node, Sequence[Array]], "Array | None"]


def computed(node: ir.Node, inputs: Sequence[Array | None]) -> Array | None:
    """The only output of `node`, of a standard operator, given the contents of all its inputs; None for no answer."""
    compute = _COMPUTED.get(node.op_type)
    given = [array for array in inputs if array is not None]
    if compute is None or len(given) != len(inputs) or not given:
        return None
    if any(array.dtype not in _SIMPLE or array.size > _MOST for array in given):
        return None
    dims, dtype = facts.static(node.outputs[0]), facts.dtype(node.outputs[0])
    if dims is None or dtype is None or facts.known_size(node.outputs[0]) not in range(_MOST + 1):
        return None
    with np.errstate(all="ignore"):
        try:
            found = compute(node, given)
        except (ValueError, IndexError, TypeError):
            return None  # the node contradicts itself: ONNX Runtime says how
    if found is None or found.dtype != dtype.numpy() or found.shape != dims:
        return None
    return None if found.dtype in _FLOATS and bool(np.isnan(found).any()) else found


def _arithmetic(operation: np.ufunc) -> _Compute:
    """Of two floats of one type, or of two integers whose result fits."""

    def compute(node: ir.Node, inputs: Sequence[Array]) -> Array | None:
        a, b = inputs
        if a.dtype != b.dtype or a.dtype == np.bool_ or (node.version or 1) < 7:
            return None
        found: Array = np.asarray(operation(a, b))
        if a.dtype in _FLOATS:
            return found
        exact = operation(a.astype(object), b.astype(object))
        return found if bool(np.all(found == exact)) else None

    return compute


def _division(node: ir.Node, inputs: Sequence[Array]) -> Array | None:
    """Of one number, as for square roots: many at once may be multiplied by a reciprocal."""
    a, b = inputs
    plain = a.dtype == b.dtype and a.dtype in _FLOATS and (node.version or 1) >= 7
    return np.asarray(a / b) if plain and a.size == b.size == 1 else None


def _comparison(operation: np.ufunc) -> _Compute:
    def compute(node: ir.Node, inputs: Sequence[Array]) -> Array | None:
        a, b = inputs
        return np.asarray(operation(a, b)) if a.dtype == b.dtype and (node.version or 1) >= 7 else None

    return compute


def _logic(operation: np.ufunc) -> _Compute:
    def compute(node: ir.Node, inputs: Sequence[Array]) -> Array | None:
        plain = all(array.dtype == np.bool_ for array in inputs) and (node.version or 1) >= 7
        return np.asarray(operation(*inputs)) if plain else None

    return compute


def _where(node: ir.Node, inputs: Sequence[Array]) -> Array | None:
    condition, a, b = inputs
    return np.where(condition, a, b) if condition.dtype == np.bool_ and a.dtype == b.dtype else None


def _cast(node: ir.Node, inputs: Sequence[Array]) -> Array | None:
    """Only where nothing is lost: rounding and wrapping are for the runtime to do."""
    array, to = inputs[0], facts.int_attribute(node, "to")
    wanted: np.dtype[Any] | None = None if to is None else ir.DataType(to).numpy()
    if wanted is None or wanted not in _SIMPLE or (array.dtype in _FLOATS and not bool(np.isfinite(array).all())):
        return None
    if wanted == np.bool_:
        return array != 0
    found = array.astype(wanted)
    back = found.astype(array.dtype)
    if wanted not in _FLOATS and bool(np.any(np.abs(array.astype(np.float64)) > 2.0**53)):
        return None
    same = np.array_equal(back, array) and np.array_equal(np.signbit(back), np.signbit(array)) if (
        array.dtype in _FLOATS and wanted in _FLOATS
    ) else np.array_equal(back, array)  # fmt: skip
    return found if same else None


def _square_root(node: ir.Node, inputs: Sequence[Array]) -> Array | None:
    """Of one number: for many at once, libraries have faster ways that are not always rounded right."""
    return np.sqrt(inputs[0]) if inputs[0].size == 1 and inputs[0].dtype in _FLOATS else None


def _range(node: ir.Node, inputs: Sequence[Array]) -> Array | None:
    if any(array.size != 1 or array.dtype.kind != "i" for array in inputs):
        return None
    start, limit, step = (int(array.reshape(())) for array in inputs)
    return np.arange(start, limit, step, dtype=inputs[0].dtype) if step else None


def _gather(node: ir.Node, inputs: Sequence[Array]) -> Array | None:
    array, index = inputs
    axis = facts.int_attribute(node, "axis")
    if axis is None or index.dtype.kind != "i" or not -array.ndim <= axis < array.ndim:
        return None
    return np.asarray(np.take(array, index, axis=axis))


def _gather_nd(node: ir.Node, inputs: Sequence[Array]) -> Array | None:
    array, index = inputs
    if (
        index.dtype.kind != "i"
        or not index.ndim
        or ((node.version or 1) >= 12 and facts.int_attribute(node, "batch_dims"))
    ):
        return None
    return np.asarray(array[tuple(np.moveaxis(index, -1, 0))])


def _expand(node: ir.Node, inputs: Sequence[Array]) -> Array | None:
    dims = facts.static(node.outputs[0])
    return None if dims is None else np.broadcast_to(inputs[0], dims)


_COMPUTED: dict[str, _Compute] = {
    "Add": _arithmetic(np.add), "Sub": _arithmetic(np.subtract), "Mul": _arithmetic(np.multiply), "Div": _division,
    "Equal": _comparison(np.equal), "Less": _comparison(np.less), "Greater": _comparison(np.greater),
    "LessOrEqual": _comparison(np.less_equal), "GreaterOrEqual": _comparison(np.greater_equal),
    "Not": _logic(np.logical_not), "And": _logic(np.logical_and), "Or": _logic(np.logical_or),
    "Xor": _logic(np.logical_xor), "Where": _where, "Cast": _cast, "Sqrt": _square_root, "Range": _range,
    "Gather": _gather, "GatherND": _gather_nd, "Expand": _expand,
}  # fmt: skip
