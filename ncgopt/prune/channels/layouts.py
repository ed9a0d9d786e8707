"""Operators that move positions around: transposes, reshapes, concatenations, parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.prune.channels.atoms import Array
from ncgopt.prune.channels.trace import Handler, Trace, describe, rank_of


def _transpose(trace: Trace, node: ir.Node) -> None:
    x, out = node.inputs[0], node.outputs[0]
    if x is None:
        return
    order = facts.ints_attribute(node, "perm") or tuple(reversed(range(rank_of(x))))
    for axis, source in enumerate(order):
        trace.tie(x, source, out, axis, node)


def axis_of(node: ir.Node, name: str, rank: int, default: int = 0) -> int:
    """An axis attribute, counted from the front."""
    axis = facts.int_attribute(node, name)
    axis = default if axis is None else axis
    return axis + rank if axis < 0 else axis


def _concat(trace: Trace, node: ir.Node) -> None:
    out = node.outputs[0]
    rank = rank_of(out)
    axis = axis_of(node, "axis", rank)
    whole = trace.atoms.of(out, axis)
    parts = [trace.atoms.of(value, axis) for value in node.inputs if value is not None]
    if whole is None or any(part is None for part in parts):
        for side in (whole, *parts):
            trace.atoms.lock(side, f"{describe(node)} joins parts of unknown size")
    else:
        trace.atoms.tie(np.concatenate([part for part in parts if part is not None]), whole, describe(node))
    for value in node.inputs:
        _others(trace, node, value, out, axis)


def _split(trace: Trace, node: ir.Node) -> None:
    x = node.inputs[0]
    if x is None:
        return
    axis = axis_of(node, "axis", rank_of(x))
    whole = trace.atoms.of(x, axis)
    parts = [trace.atoms.of(value, axis) for value in node.outputs]
    known = [part for part in parts if part is not None]
    if whole is None or len(known) != len(parts) or sum(map(len, known)) != len(whole):
        for side in (whole, *parts):
            trace.atoms.lock(side, f"{describe(node)} makes parts of unknown size")
    else:
        trace.atoms.tie(np.concatenate(known), whole, describe(node))
    for value in node.outputs:
        _others(trace, node, x, value, axis)


def _others(trace: Trace, node: ir.Node, left: ir.Value | None, right: ir.Value, axis: int) -> None:
    for other in range(rank_of(right)):
        if left is not None and other != axis:
            trace.tie(left, other, right, other, node)


def slice_ranges(node: ir.Node, rank: int) -> dict[int, tuple[int, int, int]] | None:
    """Start, end and step per axis where all of them are constants; None where they are not."""
    given: list[Sequence[int] | None] = []
    for index in range(1, 5):
        value = facts.input_of(node, index)
        if value is None:
            given.append(None)
            continue
        content = facts.constant(value)
        if content is None:
            return None
        given.append([int(number) for number in content.reshape(-1)])
    starts, ends, axes, steps = given
    if starts is None or ends is None:  # before opset 10 they are attributes
        starts, ends = facts.ints_attribute(node, "starts"), facts.ints_attribute(node, "ends")
        axes = facts.ints_attribute(node, "axes")
    if starts is None or ends is None:
        return None
    places = range(len(starts)) if axes is None else [axis + rank if axis < 0 else axis for axis in axes]
    strides = steps or [1] * len(starts)
    return dict(zip(places, zip(starts, ends, strides, strict=True), strict=True))


def _slice(trace: Trace, node: ir.Node) -> None:
    x, out = node.inputs[0], node.outputs[0]
    ranges = slice_ranges(node, rank_of(x)) if x is not None else None
    if x is None or ranges is None or (len(node.inputs) < 3 and any(step != 1 for _, _, step in ranges.values())):
        for value in (x, out):
            trace.lock_all(value, f"{describe(node)} takes a part that is not constant")
        return
    for axis in range(rank_of(x)):
        if axis not in ranges:
            trace.tie(x, axis, out, axis, node)
            continue
        atoms, (start, end, step) = trace.atoms.of(x, axis), ranges[axis]
        if atoms is None:
            trace.lock(out, axis, f"{describe(node)} takes a part of an unknown size")
        elif step != 1 or len(node.inputs) < 3:
            trace.atoms.lock(atoms, f"{describe(node)} takes every other position")
            trace.lock(out, axis, f"{describe(node)} takes every other position")
        elif len(taken := atoms[start:end]) > 1:
            trace.atoms.tie(taken, trace.atoms.of(out, axis), describe(node)) if trace.atoms.of(
                out, axis
            ) is not None else trace.atoms.lock(taken, describe(node))
        else:
            trace.atoms.lock(taken, f"{describe(node)} takes one position")


def _gather(trace: Trace, node: ir.Node) -> None:
    """A look-up: the axis that is looked up in stays, the others go through."""
    data, indices, out = node.inputs[0], node.inputs[1], node.outputs[0]
    if data is None or indices is None or (rank_of(indices) == 0 and facts.rank(indices) is None):
        for value in (data, indices, out):
            trace.lock_all(value, f"{describe(node)} looks up in an unknown shape")
        return
    axis = axis_of(node, "axis", rank_of(data))
    trace.lock(data, axis, f"{describe(node)} looks up along it")
    width = rank_of(indices)
    for other in range(rank_of(data)):
        if other != axis:
            trace.tie(data, other, out, other if other < axis else other + width - 1, node)
    for other in range(width):
        trace.lock(indices, other, f"{describe(node)} looks up by it")
        trace.lock(out, axis + other, f"{describe(node)} looks up by it")


def axes_given(node: ir.Node) -> tuple[int, ...] | None:
    """The `axes` of Squeeze, Unsqueeze and reductions: an attribute or an input, by opset."""
    value = facts.input_of(node, 1)
    if value is not None:
        content = facts.constant(value)
        return None if content is None else tuple(int(axis) for axis in content.reshape(-1))
    return facts.ints_attribute(node, "axes")


def _reshape(trace: Trace, node: ir.Node) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze: equal sizes from both ends go together, what is between is regrouped."""
    x, out = node.inputs[0], node.outputs[0]
    left, right = (facts.shape(value) if value is not None else None for value in (x, out))
    if x is None or left is None or right is None:
        for value in (x, out):
            trace.lock_all(value, f"{describe(node)} has an unknown shape")
        return
    if not _target_can_change(node):
        trace.lock_all(out, f"{describe(node)} has a computed target")
        trace.lock_all(x, f"{describe(node)} has a computed target")
        return
    front = 0
    while front < min(len(left), len(right)) and left[front] is not None and left[front] == right[front]:
        trace.tie(x, front, out, front, node)
        front += 1
    back = 0
    while back < min(len(left), len(right)) - front and left[-1 - back] is not None:
        if left[-1 - back] != right[-1 - back]:
            break
        trace.tie(x, len(left) - 1 - back, out, len(right) - 1 - back, node)
        back += 1
    _regroup(trace, node, (x, range(front, len(left) - back)), (out, range(front, len(right) - back)))


def _target_can_change(node: ir.Node) -> bool:
    target = facts.input_of(node, 1)
    return node.op_type != "Reshape" or (target is not None and facts.constant(target) is not None)


def _regroup(trace: Trace, node: ir.Node, left: tuple[ir.Value, range], right: tuple[ir.Value, range]) -> None:
    """One axis on one side, several on the other: positions of the one go with the outermost of the others."""
    sides = [(value, [axis for axis in axes if _size(value, axis) != 1]) for value, axes in (left, right)]
    sides.sort(key=lambda side: len(side[1]))
    (single, ones), (several, many) = sides
    atoms = trace.atoms.of(single, ones[0]) if len(ones) == 1 else None
    outer = trace.atoms.of(several, many[0]) if many else None
    if len(ones) == len(many) == 1:
        trace.atoms.tie(atoms, outer, describe(node)) if atoms is not None or outer is not None else None
        return
    for axis in many[1:]:
        trace.lock(several, axis, f"{describe(node)} regroups it")
    if atoms is None or outer is None or not len(outer) or len(atoms) % len(outer):
        _lock_both(trace, [(single, ones), (several, many)], f"{describe(node)} regroups unknown sizes")
        return
    trace.atoms.tie(atoms, np.repeat(outer, len(atoms) // len(outer)), describe(node))


def _size(value: ir.Value, axis: int) -> object:
    dims = facts.shape(value)
    return dims[axis] if dims is not None else None


def _lock_both(trace: Trace, sides: Sequence[tuple[ir.Value, Sequence[int]]], why: str) -> None:
    for value, axes in sides:
        for axis in axes:
            trace.lock(value, axis, why)


def _expand(trace: Trace, node: ir.Node) -> None:
    for value in (node.inputs[0], node.outputs[0]):
        trace.lock_all(value, f"{describe(node)} has a target of its own")


def _pad(trace: Trace, node: ir.Node) -> None:
    x, out = node.inputs[0], node.outputs[0]
    pads = facts.input_of(node, 1)
    amounts: Array | None = facts.constant(pads) if pads is not None else None
    listed = facts.ints_attribute(node, "pads") if amounts is None else tuple(int(n) for n in amounts.reshape(-1))
    rank = rank_of(x) if x is not None else 0
    if x is None or listed is None or len(listed) != 2 * rank or facts.input_of(node, 3) is not None:
        for value in (x, out):
            trace.lock_all(value, f"{describe(node)} pads by unknown amounts")
        return
    for axis in range(rank):
        if listed[axis] == listed[rank + axis] == 0:
            trace.tie(x, axis, out, axis, node)
        else:
            trace.lock(x, axis, f"{describe(node)} pads it")
            trace.lock(out, axis, f"{describe(node)} pads it")


def _shape(trace: Trace, node: ir.Node) -> None:
    """What is read off a shape may become anything, so known sizes stay."""
    trace.lock_all(node.inputs[0], f"{describe(node)} reads its size")


HANDLERS: Mapping[str, Handler] = {
    "Transpose": _transpose,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "Reshape": _reshape,
    "Flatten": _reshape,
    "Squeeze": _reshape,
    "Unsqueeze": _reshape,
    "Expand": _expand,
    "Pad": _pad,
    "Shape": _shape,
    "Size": _shape,
    "Constant": lambda trace, node: None,
}
