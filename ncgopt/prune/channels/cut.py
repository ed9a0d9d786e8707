"""Take chosen units out of a graph: weights get smaller, and constants that state sizes follow."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.prune.channels.atoms import Array, Key
from ncgopt.prune.channels.groups import Channels
from ncgopt.prune.channels.layouts import axis_of, slice_ranges
from ncgopt.prune.channels.trace import rank_of


def removed_positions(channels: Channels, units: Iterable[int]) -> dict[Key, Array]:
    """For every axis that loses something, True where a position goes."""
    gone = np.fromiter(units, np.int64)
    atoms = channels.trace.atoms
    labels = atoms.labels()
    found: dict[Key, Array] = {}
    for key, (start, size) in atoms.axes.items():
        mask = np.isin(labels[start : start + size], gone)
        if mask.any():
            found[key] = mask
    return found


def silence(channels: Channels, removed: dict[Key, Array]) -> None:
    """Set to zero, in place, what multiplies the removed channels: the model then computes what the cut one will."""
    for (value, axis), mask in removed.items():
        if (value, axis) in channels.trace.summed:
            tensor = value.const_value
            assert tensor is not None
            array = np.array(tensor.numpy())
            array[(slice(None),) * axis + (mask,)] = 0
            value.const_value = ir.Tensor(array, dtype=tensor.dtype, name=value.name)


def cut(model: ir.Model, channels: Channels, removed: dict[Key, Array]) -> None:
    """Remove the positions, in place; inputs and outputs of the model keep their shapes."""
    for node in list(model.graph):
        if node.domain in ("", "ai.onnx"):
            _follow(model, node, channels, removed)
    for (value, axis), mask in removed.items():
        tensor = value.const_value
        if value.is_initializer() and tensor is not None:
            array = np.compress(~mask, np.asarray(tensor.numpy()), axis=axis)
            value.const_value = ir.Tensor(np.ascontiguousarray(array), dtype=tensor.dtype, name=value.name)
            value.shape = ir.Shape(array.shape)
        elif value.shape is not None:
            dims = list(value.shape)
            dims[axis] = int((~mask).sum())
            value.shape = ir.Shape(dims)
    facts.forget()


def _follow(model: ir.Model, node: ir.Node, channels: Channels, removed: dict[Key, Array]) -> None:
    match node.op_type:
        case "Conv":
            _fewer_groups(node, channels, removed)
        case "Reshape":
            _new_target(model, node, removed)
        case "Split":
            _new_parts(model, node, channels, removed)
        case "Slice":
            _new_range(model, node, removed)
        case _:
            pass


def _fewer_groups(node: ir.Node, channels: Channels, removed: dict[Key, Array]) -> None:
    groups = facts.int_attribute(node, "group") or 1
    x = node.inputs[0]
    assert x is not None
    mask = removed.get((x, 1))
    if groups > 1 and mask is not None:
        left = int((~mask.reshape(groups, -1)[:, 0]).sum())
        node.attributes["group"] = ir.AttrInt64("group", left)


def _new_target(model: ir.Model, node: ir.Node, removed: dict[Key, Array]) -> None:
    out, target = node.outputs[0], node.inputs[1]
    assert target is not None
    changed = {axis: int((~removed[out, axis]).sum()) for axis in range(rank_of(out)) if (out, axis) in removed}
    content = facts.constant(target)
    if not changed or content is None:
        return
    sizes = content.reshape(-1).astype(np.int64)
    for axis, size in changed.items():
        if sizes[axis] > 0:
            sizes[axis] = size
    if not np.array_equal(sizes, content.reshape(-1)):
        node.replace_input_with(1, _constant(model, f"{target.name}_{node.name}_pruned", sizes))


def _new_parts(model: ir.Model, node: ir.Node, channels: Channels, removed: dict[Key, Array]) -> None:
    x = node.inputs[0]
    assert x is not None
    axis = axis_of(node, "axis", rank_of(x))
    if (x, axis) not in removed:
        return
    sizes: list[int] = []
    for out in node.outputs:
        mask = removed.get((out, axis))
        _, size = channels.trace.atoms.axes[out, axis]
        sizes.append(size if mask is None else int((~mask).sum()))
    node.attributes.pop("num_outputs", None)
    if (node.version or 13) < 13:
        node.attributes["split"] = ir.AttrInt64s("split", sizes)
        return
    value = _constant(model, f"{node.name}_split_pruned", np.asarray(sizes, np.int64))
    if len(node.inputs) > 1:
        node.replace_input_with(1, value)
    else:
        node.resize_inputs(2)
        node.replace_input_with(1, value)


def _new_range(model: ir.Model, node: ir.Node, removed: dict[Key, Array]) -> None:
    x = node.inputs[0]
    assert x is not None
    rank = rank_of(x)
    ranges = slice_ranges(node, rank)
    hit = [axis for axis in ranges or {} if (x, axis) in removed]
    if ranges is None or not hit:
        return
    starts: list[int] = []
    ends: list[int] = []
    for axis, (start, end, _) in ranges.items():
        mask = removed.get((x, axis))
        if mask is not None:
            low, high, _ = slice(start, end).indices(len(mask))
            start, end = int((~mask[:low]).sum()), int((~mask[:high]).sum())
        starts.append(start)
        ends.append(end)
    node.replace_input_with(1, _constant(model, f"{node.name}_starts_pruned", np.asarray(starts, np.int64)))
    node.replace_input_with(2, _constant(model, f"{node.name}_ends_pruned", np.asarray(ends, np.int64)))
    if node.inputs[3:4] == (None,) or len(node.inputs) < 4:
        return
    node.replace_input_with(3, _constant(model, f"{node.name}_axes_pruned", np.asarray(list(ranges), np.int64)))


def _constant(model: ir.Model, name: str, array: Array) -> ir.Value:
    unique, serial = name, 0
    while unique in model.graph.initializers:
        serial += 1
        unique = f"{name}_{serial}"
    value = ir.Value(name=unique, type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape(array.shape))
    value.const_value = ir.Tensor(array, name=unique)
    model.graph.initializers.add(value)
    return value
