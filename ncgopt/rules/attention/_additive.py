"""All masks of an attention as one tensor to be added to the scores, with both length axes spelled out."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.rewrite import Tape
from ncgopt.rules.attention._attention import Attention
from ncgopt.rules.attention._bounds import Bounds, bounds
from ncgopt.rules.attention._masks import Added, Mask

_AXES_ARE_INPUTS = 13  # the opset since which they are, for Unsqueeze
_SHAPE_SLICES = 15  # the opset since which Shape takes a start and an end


def bounds_of(found: Attention) -> Bounds | None:
    """Bounds of the sum of all masks."""
    parts = [_bounds_of_mask(mask) for mask in found.masks]
    known = [p for p in parts if p is not None]
    if len(known) != len(parts):
        return None
    low, high = sum(p.low for p in known), sum(p.high for p in known)
    kind = facts.dtype(found.out)
    largest = float(np.finfo(kind.numpy()).max) if kind is not None else 0.0
    minus_inf = any(p.minus_inf for p in known) or low < -largest
    return Bounds(low, high, minus_inf)


def _bounds_of_mask(mask: Mask) -> Bounds | None:
    if isinstance(mask, Added):
        return bounds(mask.value)
    return Bounds(0.0, 0.0, True) if np.isneginf(mask.number) else Bounds(mask.number, 0.0)


def can_be_additive(found: Attention, root: ir.Node) -> bool:
    """Whether `additive_mask` can spell out the lengths."""
    dims = found.mask_dims
    if not found.masks:
        return True
    if dims is None or not found.fits:
        return dims == ()
    lengths = _four(dims)[2:]
    return lengths == found.scores_dims[2:] or all(
        _source(root, d) is not None
        for d, has in zip(found.scores_dims[2:], lengths, strict=True)
        if d != has and not isinstance(d, int)
    )


def additive_mask(tape: Tape, masks: Sequence[Mask]) -> ir.Value:
    """The sum of at least one mask, in the shape that they broadcast to."""
    return functools.reduce(lambda a, b: tape.op("Add", [a, b]), [mask.build(tape) for mask in masks])


def spelled_out(tape: Tape, mask: ir.Value, found: Attention, root: ir.Node, rank: int = 4) -> ir.Value:
    """`mask`, of the shape of the masks of `found`, as `(batch or 1, heads or 1, length of queries, length of keys)`.

    Args:
        tape: where to record.
        mask: numbers or booleans.
        found: the attention whose masks `can_be_additive`.
        root: what is matched.
        rank: leading axes of size 1 beyond this rank may be missing.
    """
    dims = found.mask_dims
    assert dims is not None
    wanted = (*_four(dims)[:2], *found.scores_dims[2:])
    if _four(dims) != wanted:
        return tape.op("Expand", [mask, _target(tape, _four(dims), wanted, root)])
    return mask if len(dims) >= rank else _unsqueezed(tape, mask, rank - len(dims))


def _unsqueezed(tape: Tape, x: ir.Value, count: int) -> ir.Value:
    """`x` with axes of size 1 in front."""
    axes = range(count)
    if tape.opsets.get("", 1) < _AXES_ARE_INPUTS:
        return tape.op("Unsqueeze", [x], {"axes": tuple(axes)})
    return tape.op("Unsqueeze", [x, tape.constant(np.array(axes, dtype=np.int64))])


def _four(dims: facts.Shape) -> facts.Shape:
    return (1,) * (4 - len(dims)) + dims


def _target(tape: Tape, dims: facts.Shape, wanted: facts.Shape, root: ir.Node) -> ir.Value:
    """The shape to expand to: 1 where the mask has the size already."""
    parts: list[ir.Value] = []
    numbers = [1 if d == w else w for d, w in zip(dims, wanted, strict=True)]
    if all(isinstance(n, int) for n in numbers):
        return tape.constant(np.array(numbers, dtype=np.int64))
    for number in numbers:
        if isinstance(number, int):
            parts.append(tape.constant(np.array([number], dtype=np.int64)))
            continue
        found = _source(root, number)
        if found is None:
            raise ValueError(f"no input has the size {number}")
        parts.append(_size(tape, *found))
    return tape.op("Concat", parts, {"axis": 0})


def _size(tape: Tape, value: ir.Value, axis: int) -> ir.Value:
    """The size of one axis, as a vector of one element."""
    if tape.opsets.get("", 1) >= _SHAPE_SLICES:
        return tape.op("Shape", [value], {"start": axis, "end": axis + 1})
    return tape.op("Gather", [tape.op("Shape", [value]), tape.constant(np.array([axis], dtype=np.int64))])


def _source(root: ir.Node, size: facts.Dim) -> tuple[ir.Value, int] | None:
    """A graph input with this size, and the axis that has it: the same for all layers of a model, unlike queries."""
    graph = root.graph
    if graph is None or size is None:
        return None
    for value in graph.inputs:
        dims = facts.shape(value)
        if dims is not None and size in dims:
            return value, dims.index(size)
    return None
