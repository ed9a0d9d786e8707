"""What constant nodes give that only move or repeat elements: it takes no runtime, and no copy of whole weights.

Nothing is rounded here, so the bits are those that any runtime gives. Where a node is not known in every detail,
there is no answer, and ONNX Runtime computes it in the child process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array, look
from ncgopt.passes._exact import computed

Known = dict[ir.Value, Array]


def moved(nodes: Iterable[ir.Node]) -> Known:
    """The results of those of `nodes` (in order) that only move elements of constants or of each other's results.

    Along with them goes what is computed from those in one way only (`_exact`).
    """
    known: Known = {}
    for node in nodes:
        if node.domain or len(node.outputs) != 1:
            continue
        move = _MOVES.get(node.op_type)
        if move is not None:
            found = move(node, known)
        else:
            found = computed(node, [_input(node, index, known) for index in range(len(node.inputs))])
        if found is not None:
            known[node.outputs[0]] = found
    return known


def _input(node: ir.Node, index: int, known: Known) -> Array | None:
    value = facts.input_of(node, index)
    if value is None:
        return None
    found = known[value] if value in known else look(value)
    return None if found is None or found.dtype.kind in "OUS" else found


def _identity(node: ir.Node, known: Known) -> Array | None:
    return _input(node, 0, known)


def _transpose(node: ir.Node, known: Known) -> Array | None:
    array = _input(node, 0, known)
    return None if array is None else np.transpose(array, facts.ints_attribute(node, "perm"))


def _reshape(node: ir.Node, known: Known) -> Array | None:
    """Reshape, Squeeze, Unsqueeze and Flatten keep the order of the elements: the shape says it all."""
    array, dims = _input(node, 0, known), facts.static(node.outputs[0])
    return None if array is None or dims is None or array.size != _size(dims) else array.reshape(dims)


def _concat(node: ir.Node, known: Known) -> Array | None:
    arrays = [_input(node, index, known) for index in range(len(node.inputs))]
    parts = [array for array in arrays if array is not None]
    axis, dims = facts.int_attribute(node, "axis"), facts.static(node.outputs[0])
    same = {(array.dtype, array.ndim) for array in parts}
    if axis is None or dims is None or len(parts) < len(arrays) or len(same) != 1:
        return None
    return _of_shape(np.concatenate(parts, axis), dims) if -len(dims) <= axis < len(dims) else None


def _constant_of_shape(node: ir.Node, known: Known) -> Array | None:
    dims, attribute = facts.static(node.outputs[0]), node.attributes.data.get("value")
    if dims is None or (attribute is not None and (attribute.is_ref() or attribute.type != ir.AttributeType.TENSOR)):
        return None
    value = np.zeros(1, np.float32) if attribute is None else attribute.as_tensor().numpy()
    return np.broadcast_to(value.reshape(-1)[:1], (_size(dims),)).reshape(dims) if value.size == 1 else None


def _slice(node: ir.Node, known: Known) -> Array | None:
    """Slice with its bounds as inputs; Python cuts bounds off at the ends exactly as ONNX does."""
    array, dims = _input(node, 0, known), facts.static(node.outputs[0])
    if array is None or dims is None or (node.version or 1) < 10:
        return None
    starts, ends = _numbers(node, 1, known), _numbers(node, 2, known)
    if starts is None or ends is None:
        return None
    axes = _numbers(node, 3, known) if facts.input_of(node, 3) is not None else list(range(len(starts)))
    steps = _numbers(node, 4, known) if facts.input_of(node, 4) is not None else [1] * len(starts)
    if axes is None or steps is None or not len(starts) == len(ends) == len(axes) == len(steps):
        return None
    cut = [slice(None)] * array.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if not -array.ndim <= axis < array.ndim or step <= 0 or cut[axis] != slice(None):
            return None
        cut[axis] = slice(start, end, step)
    return _of_shape(array[tuple(cut)], dims)


def _of_shape(array: Array, dims: tuple[int, ...]) -> Array | None:
    return array if array.shape == dims else None


def _numbers(node: ir.Node, index: int, known: Known) -> list[int] | None:
    array = _input(node, index, known)
    return None if array is None or array.ndim != 1 or array.dtype.kind != "i" else [int(n) for n in array]


def _size(dims: tuple[int, ...]) -> int:
    size = 1
    for dim in dims:
        size *= dim
    return size


_MOVES: dict[str, Callable[[ir.Node, Known], Array | None]] = {
    "Identity": _identity,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Squeeze": _reshape,
    "Unsqueeze": _reshape,
    "Flatten": _reshape,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Slice": _slice,
}
