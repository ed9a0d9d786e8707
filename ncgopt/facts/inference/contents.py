"""What small integer tensors hold where they are computed from sizes.

Exporters write `Reshape(x, Where(Equal(t, -1), Shape(y), t))`; following such arithmetic on arrays
whose elements are expressions makes the target known under symbolic dimensions. Elements that
nothing is known about are None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import onnx_ir as ir

from ncgopt.facts import symbols
from ncgopt.facts.inference import arithmetic, floats, repeated
from ncgopt.facts.inference.symbolic import MAX_ELEMENTS, Follow, array_of, at_least_0d, each
from ncgopt.facts.inference.view import Contents, NodeView
from ncgopt.facts.symbols import Dim
from ncgopt.facts.types import ValueType

_INT32 = 2**31
_EXTREMES = (2**63 - 1, -(2**63))  # where Slices end that take everything
_KINDS = frozenset({ir.DataType.INT32, ir.DataType.INT64, ir.DataType.BOOL})


def may_have_contents(known: ValueType) -> bool:
    """Whether a value of this type is small and integer, so that its contents are followed."""
    size = symbols.product(known.shape) if known.shape is not None else None
    return known.dtype in _KINDS and isinstance(size, int) and size <= MAX_ELEMENTS


def unknown_contents(known: ValueType) -> Contents:
    """The contents of a small integer tensor of which only the size is known."""
    return np.full(cast("tuple[int, ...]", known.shape), None, dtype=object)


def contents_of_constant(array: np.ndarray[Any, Any]) -> Contents | None:
    """The elements of a constant; None for large ones and for anything but integers and booleans."""
    if array.size > MAX_ELEMENTS or array.dtype.kind not in "iub":
        return None
    return array_of([int(n) for n in array.reshape(-1)], array.shape)


def contents_of_outputs(view: NodeView, outputs: list[ValueType]) -> list[Contents | None]:
    """What the outputs of a node hold: one entry each, unknown elements None.

    An answer whose shape is not the one that was inferred is dropped: one of the two is wrong.
    """
    found: list[Contents | None] = [None] * len(outputs)
    if not any(may_have_contents(known) for known in outputs) or view.node.domain:
        return found
    if view.node.op_type == "Split":
        parts = _split(view, outputs)
        return found if parts is None else parts
    follow = _BY_OPERATOR.get(view.node.op_type)
    answer = follow(view) if follow is not None else None
    if may_have_contents(outputs[0]):
        if answer is None or answer.shape != outputs[0].shape:
            answer = unknown_contents(outputs[0])
        found[0] = _within(answer, outputs[0].dtype)
    return found


def _within(found: Contents, dtype: ir.DataType | None) -> Contents:
    """Numbers that int32 arithmetic would wrap are unknown; so are such results of int64, but for `_EXTREMES`."""
    if dtype == ir.DataType.BOOL:
        return found
    extremes = _EXTREMES if dtype == ir.DataType.INT64 else ()

    def unwrapped(n: Dim) -> Dim:
        return n if not isinstance(n, int) or -_INT32 <= n < _INT32 or n in extremes else None

    return each(unwrapped, found)


def _elementwise(function: Callable[..., Dim]) -> Follow:
    def follow(view: NodeView) -> Contents | None:
        arrays = [view.contents(k) for k in range(len(view.node.inputs))]
        known = [a for a in arrays if a is not None]
        if len(known) != len(arrays) or not known:
            return None
        try:
            return each(function, *known)
        except ValueError:
            return None  # they do not broadcast

    return follow


def _folded(function: Callable[[Dim, Dim], Dim]) -> Follow:
    """An operator with any number of inputs."""

    def fold(*elements: Dim) -> Dim:
        result = elements[0]
        for element in elements[1:]:
            result = function(result, element)
        return result

    return _elementwise(fold)


def _mod(view: NodeView) -> Contents | None:
    return _elementwise(arithmetic.remainder if view.int("fmod") else arithmetic.modulo)(view)


def _shape(view: NodeView) -> Contents | None:
    dims = view.shape()
    if dims is None:
        return None
    start = view.int("start") or 0
    end = view.int("end")
    taken = dims[start:] if end is None else dims[start:end]
    return array_of(list(taken), (len(taken),))


def _size(view: NodeView) -> Contents | None:
    dims = view.shape()
    return None if dims is None else array_of([symbols.product(dims)], ())


def _same(view: NodeView) -> Contents | None:
    return view.contents(0)


def _cast(view: NodeView) -> Contents | None:
    to = view.int("to")
    return None if to is None else _cast_to(view, ir.DataType(to))


def _cast_like(view: NodeView) -> Contents | None:
    to = view.type(1).dtype
    return None if to is None else _cast_to(view, to)


def _cast_to(view: NodeView, to: ir.DataType) -> Contents | None:
    found = view.contents(0)
    if found is None:
        found = floats.whole_numbers(view.array(0), MAX_ELEMENTS)
    if found is None:
        found = floats.capped(view, MAX_ELEMENTS)
    if found is None or to not in _KINDS:
        return None
    return each(arithmetic.is_true, found) if to == ir.DataType.BOOL else found


def _reshaped(view: NodeView) -> Contents | None:
    """Squeeze, Unsqueeze, Reshape, Flatten: the same elements; the shape is inferred elsewhere."""
    found = view.contents(0)
    shape = view.type_of(view.node.outputs[0]).shape
    if found is None or shape is None or not all(isinstance(d, int) for d in shape):
        return None
    numbers = cast("tuple[int, ...]", shape)
    return found.reshape(numbers) if found.size == np.prod(numbers, dtype=int) else None


def _transpose(view: NodeView) -> Contents | None:
    found, axes = view.contents(0), view.ints("perm")
    if found is None or (axes is not None and sorted(axes) != list(range(found.ndim))):
        return None
    return found.transpose(axes)


def _gather(view: NodeView) -> Contents | None:
    source, index = view.contents(0), view.contents(1)
    if source is None or index is None or source.ndim == 0 or not all(isinstance(k, int) for k in index.flat):
        return None
    axis = view.axis("axis", source.ndim)
    if axis is None:
        return None
    size = source.shape[axis]
    if not all(-size <= k < size for k in index.flat):
        return None
    return at_least_0d(source.take(index.astype(np.int64), axis=axis))


def _slice(view: NodeView) -> Contents | None:
    source = view.contents(0)
    starts, ends = view.numbers(1, "starts"), view.numbers(2, "ends")
    if source is None or starts is None or ends is None:
        return None
    axes = view.numbers(3, "axes") if view.given(3) or view.ints("axes") is not None else tuple(range(len(starts)))
    steps = view.numbers(4) if view.given(4) else (1,) * len(starts)
    if axes is None or steps is None or not len(starts) == len(ends) == len(axes) == len(steps):
        return None
    index = [slice(None)] * source.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if not -source.ndim <= axis < source.ndim or step == 0:
            return None
        size = source.shape[axis]
        # Going backwards, an end before the first element means to take that one too.
        stop = None if step < 0 and end < -size else end
        index[axis] = slice(start, stop, step)
    return source[tuple(index)]


def _concat(view: NodeView) -> Contents | None:
    parts = [view.contents(k) for k in range(len(view.node.inputs))]
    known = [p for p in parts if p is not None]
    if len(known) != len(parts) or not known or known[0].ndim == 0 or len({p.ndim for p in known}) != 1:
        return None
    axis = view.axis("axis", known[0].ndim)
    try:
        return None if axis is None else np.concatenate(known, axis=axis)
    except ValueError:
        return None  # their other dimensions differ


def _split(view: NodeView, outputs: list[ValueType]) -> list[Contents | None] | None:
    source = view.contents(0)
    if source is None or source.ndim == 0:
        return None
    axis = view.axis("axis", source.ndim)
    if axis is None:
        return None
    sizes = [None if known.shape is None or len(known.shape) != source.ndim else known.shape[axis] for known in outputs]
    if not all(isinstance(n, int) for n in sizes) or sum(cast("list[int]", sizes)) != source.shape[axis]:
        return None
    return list(np.split(source, np.cumsum(cast("list[int]", sizes))[:-1], axis=axis))


_BY_OPERATOR: dict[str, Follow] = {
    "Shape": _shape,
    "Size": _size,
    "Identity": _same,
    "Cast": _cast,
    "CastLike": _cast_like,
    "Squeeze": _reshaped,
    "Unsqueeze": _reshaped,
    "Reshape": _reshaped,
    "Flatten": _reshaped,
    "Transpose": _transpose,
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "ConstantOfShape": repeated.filled,
    "Expand": repeated.expand,
    "Tile": repeated.tile,
    "Range": repeated.range_,
    "Mul": _elementwise(symbols.mul),
    "Add": _elementwise(symbols.add),
    "Sum": _folded(symbols.add),
    "Sub": _elementwise(symbols.sub),
    "Div": _elementwise(arithmetic.div),
    "Mod": _mod,
    "Neg": _elementwise(arithmetic.neg),
    "Abs": _elementwise(arithmetic.absolute),
    "Sign": _elementwise(arithmetic.sign),
    "Max": _folded(symbols.maximum),
    "Min": _folded(symbols.minimum),
    "Equal": _elementwise(arithmetic.equal),
    "Less": _elementwise(arithmetic.less),
    "LessOrEqual": _elementwise(arithmetic.less_or_equal),
    "Greater": _elementwise(arithmetic.greater),
    "GreaterOrEqual": _elementwise(arithmetic.greater_or_equal),
    "Not": _elementwise(arithmetic.negation),
    "And": _elementwise(arithmetic.conjunction),
    "Or": _elementwise(arithmetic.disjunction),
    "Xor": _elementwise(arithmetic.exclusive),
    "Where": _elementwise(arithmetic.where),
    "ReduceProd": repeated.reduced(symbols.mul, 1),
    "ReduceSum": repeated.reduced(symbols.add, 0),
    "ReduceMax": repeated.reduced(symbols.maximum, None),
    "ReduceMin": repeated.reduced(symbols.minimum, None),
}
