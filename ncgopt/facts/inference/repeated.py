"""Contents that are filled in, repeated, counted or reduced; see `contents`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ncgopt.facts.inference.symbolic import MAX_ELEMENTS, Follow, array_of, at_least_0d, each
from ncgopt.facts.inference.view import Contents, NodeView
from ncgopt.facts.symbols import Dim


def filled(view: NodeView) -> Contents | None:
    """ConstantOfShape."""
    shape = view.numbers(0)
    attribute = view.node.attributes.get("value")
    if shape is None or np.prod(shape, dtype=int) > MAX_ELEMENTS or (attribute is not None and attribute.is_ref()):
        return None
    if attribute is None:
        return None  # float zeros
    number = attribute.as_tensor().numpy().reshape(-1)
    return np.full(shape, int(number[0]), dtype=object) if number.size == 1 and number.dtype.kind in "iub" else None


def expand(view: NodeView) -> Contents | None:
    """Expand: the elements over and over, where there are few in the end."""
    found, target = view.contents(0), view.numbers(1)
    if found is None or target is None:
        return None
    try:
        shape = np.broadcast_shapes(found.shape, target)
    except ValueError:
        return None
    return np.broadcast_to(found, shape) if np.prod(shape, dtype=int) <= MAX_ELEMENTS else None


def tile(view: NodeView) -> Contents | None:
    """Tile, as Expand."""
    found, repeats = view.contents(0), view.numbers(1)
    if found is None or repeats is None or len(repeats) != found.ndim or min(repeats, default=0) < 0:
        return None
    return np.tile(found, repeats) if found.size * np.prod(repeats, dtype=int) <= MAX_ELEMENTS else None


def range_(view: NodeView) -> Contents | None:
    """Range from, to and by numbers that are known."""
    ends = [view.contents(k) for k in range(3)]
    start, limit, step = (e.reshape(-1)[0] if e is not None and e.size == 1 else None for e in ends)
    if step == 1 and isinstance(start, int) and isinstance(limit, int) and limit - start > MAX_ELEMENTS:
        return None
    if not isinstance(start, int) or not isinstance(limit, int) or not isinstance(step, int) or step == 0:
        return None
    numbers = list(range(start, limit, step))
    return array_of(numbers, (len(numbers),))


def reduced(function: Callable[[Dim, Dim], Dim], start: int | None) -> Follow:
    """A reduction; `start` is what nothing at all reduces to, None where that fails."""

    def follow(view: NodeView) -> Contents | None:
        found = view.contents(0)
        axes = _reduced_axes(view, found.ndim) if found is not None else None
        if found is None or axes is None:
            return None
        result = found
        for axis in axes:
            parts = list(np.moveaxis(result, axis, 0))
            if not parts and start is None:
                return None
            total = at_least_0d(parts[0]) if parts else np.full(_beside(result, axis), start, dtype=object)
            for part in parts[1:]:
                total = each(function, total, at_least_0d(part))
            result = np.expand_dims(total, axis)
        if view.int("keepdims") == 0:
            result = result.reshape([n for k, n in enumerate(result.shape) if k not in axes])
        return result

    return follow


def _reduced_axes(view: NodeView, rank: int) -> list[int] | None:
    axes = view.numbers(1, "axes")
    if axes is None:
        if view.given(1):
            return None
        axes = () if view.int("noop_with_empty_axes") else tuple(range(rank))
    if not all(-rank <= axis < rank for axis in axes):
        return None
    return sorted({axis % rank for axis in axes}) if rank else []


def _beside(found: Contents, axis: int) -> tuple[int, ...]:
    return (*found.shape[:axis], *found.shape[axis + 1 :])
