"""Shapes of operators that select: Slice, Pad, TopK, OneHot, NonZero."""

from __future__ import annotations

from ncgopt.facts import symbols
from ncgopt.facts.inference.view import NodeView
from ncgopt.facts.symbols import Dim
from ncgopt.facts.types import Shape

_FAR = 2**31 - 1  # exporters write "to the end" as the largest number of some type


def slice_(view: NodeView) -> Shape | None:
    """Slice with bounds that may be expressions."""
    dims = view.shape()
    if dims is None:
        return None
    starts, ends = view.dims(1, "starts"), view.dims(2, "ends")
    count = _count(view, starts, ends)
    if count is None:
        return (None,) * len(dims)
    starts, ends = starts or (None,) * count, ends or (None,) * count
    axes = view.numbers(3, "axes") if view.given(3) or view.ints("axes") is not None else tuple(range(count))
    steps = view.dims(4) if view.given(4) else (1,) * count
    if axes is None or not len(starts) == len(ends) == len(axes) == count:
        return (None,) * len(dims)
    steps = steps if steps is not None and len(steps) == count else (None,) * count
    found = list(dims)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if not -len(dims) <= axis < len(dims):
            return None
        found[axis] = _length(dims[axis], start, end, step)
    return tuple(found)


def _count(view: NodeView, starts: Shape | None, ends: Shape | None) -> int | None:
    for known in (starts, ends):
        if known is not None:
            return len(known)
    return view.length(1)


def _length(dim: Dim, start: Dim, end: Dim, step: Dim) -> Dim:
    """How many elements `start:end:step` takes of `dim`."""
    if not isinstance(step, int) or step == 0:
        return None
    if step < 0:
        whole = (start == -1 or (isinstance(start, int) and start >= _FAR)) and isinstance(end, int) and end <= -_FAR
        return symbols.ceil_div(dim, -step) if whole else None
    first, last = _bound(dim, start), _bound(dim, end)
    if first == 0:
        return symbols.ceil_div(last, step)
    return symbols.ceil_div(symbols.maximum(symbols.sub(last, first), 0), step)


def _bound(dim: Dim, bound: Dim) -> Dim:
    """A start or end counted from the front and clamped to `0 ... dim`."""
    if isinstance(bound, int):
        if bound >= _FAR:
            return dim
        if bound <= -_FAR:
            return 0
        if bound < 0:
            return symbols.maximum(symbols.add(dim, bound), 0)
    elif not symbols.is_at_least(bound, 0):
        # Certainly negative, it counts from the end.
        return symbols.maximum(symbols.add(dim, bound), 0) if symbols.is_at_least(symbols.mul(bound, -1), 1) else None
    return symbols.minimum(dim, bound)


def pad(view: NodeView) -> Shape | None:
    """Pad: both sides of every (given) axis are added."""
    dims = view.shape()
    pads = view.dims(1, "pads") if view.version >= 2 else view.ints("paddings")
    if dims is None:
        return None
    axes = view.numbers(3) if view.given(3) else tuple(range(len(dims)))
    if pads is None or axes is None or len(pads) != 2 * len(axes):
        return (None,) * len(dims)
    found = list(dims)
    for k, axis in enumerate(axes):
        if not -len(dims) <= axis < len(dims):
            return None
        found[axis] = symbols.add(symbols.add(dims[axis], pads[k]), pads[k + len(axes)])
    return tuple(found)


def top_k(view: NodeView) -> Shape | None:
    """TopK: `k` along the axis."""
    dims = view.shape()
    axis = view.axis("axis", len(dims)) if dims is not None else None
    if dims is None or axis is None:
        return dims
    k = view.dims(1, "k") if view.version >= 10 else ((view.int("k"),))
    size = k[0] if k is not None and len(k) == 1 else None
    return (*dims[:axis], size, *dims[axis + 1 :])


def one_hot(view: NodeView) -> Shape | None:
    """OneHot: the depth as a new axis."""
    dims, axis, depth = view.shape(), view.int("axis"), view.contents(1)
    if dims is None or axis is None or not -len(dims) - 1 <= axis <= len(dims):
        return None
    axis = axis + len(dims) + 1 if axis < 0 else axis
    size = depth.reshape(-1)[0] if depth is not None and depth.size == 1 else None
    return (*dims[:axis], size, *dims[axis:])


def non_zero(view: NodeView) -> Shape | None:
    """NonZero: one row per dimension; how many there are, nobody knows."""
    dims = view.shape()
    return (None, None) if dims is None else (max(len(dims), 1), None)
