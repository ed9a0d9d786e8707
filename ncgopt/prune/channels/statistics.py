"""Operators that look along an axis: normalizations, pools, reductions, softmax, attention."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from ncgopt import facts
from ncgopt.prune.channels.layouts import axes_given, axis_of
from ncgopt.prune.channels.trace import Handler, Trace, describe, rank_of


def _batch_normalization(trace: Trace, node: ir.Node) -> None:
    """Each channel by itself (InstanceNormalization looks along the spatial axes)."""
    x, out = node.inputs[0], node.outputs[0]
    if x is None:
        return
    alone = node.op_type == "BatchNormalization"
    for axis in range(rank_of(out)):
        if axis < 2 or alone:
            trace.tie(x, axis, out, axis, node)
        else:
            trace.lock(x, axis, f"{describe(node)} looks along it")
            trace.lock(out, axis, f"{describe(node)} looks along it")
    for value in node.inputs[1:]:
        if value is not None:
            trace.tie(value, 0, out, 1, node)
    for extra in node.outputs[1:]:
        trace.lock_all(extra, f"a second output of {describe(node)}")
        trace.lock(out, 1, f"{describe(node)} is in training mode")


def _pool(trace: Trace, node: ir.Node) -> None:
    x, out = node.inputs[0], node.outputs[0]
    if x is None:
        return
    for axis in range(rank_of(x)):
        if axis < 2:
            trace.tie(x, axis, out, axis, node)
        else:
            trace.lock(x, axis, f"{describe(node)} sums over it")
            trace.lock(out, axis, f"{describe(node)} sums over it")
    for extra in node.outputs[1:]:
        trace.lock_all(extra, f"a second output of {describe(node)}")
        trace.lock(x, 1, f"{describe(node)} gives positions")


def _resize(trace: Trace, node: ir.Node) -> None:
    """Axes whose scale is 1 go through; a target size would have to be known to change it."""
    x, out = node.inputs[0], node.outputs[0]
    index = 1 if node.op_type == "Upsample" else 2
    given = facts.input_of(node, index)
    scales = facts.constant(given) if given is not None else None
    if x is None or scales is None or scales.size != rank_of(x) or facts.input_of(node, 3) is not None:
        for value in (x, out):
            trace.lock_all(value, f"{describe(node)} is not traced without constant scales")
        return
    for axis, scale in enumerate(scales.reshape(-1).tolist()):
        if scale == 1:
            trace.tie(x, axis, out, axis, node)
        else:
            trace.lock(x, axis, f"{describe(node)} looks along it")
            trace.lock(out, axis, f"{describe(node)} looks along it")


def _softmax(trace: Trace, node: ir.Node) -> None:
    x, out = node.inputs[0], node.outputs[0]
    if x is None:
        return
    rank = rank_of(x)
    old = (node.version or 13) < 13
    axis = axis_of(node, "axis", rank, 1 if old else -1)
    for other in range(rank):
        if other == axis or (old and other > axis):
            trace.lock(x, other, f"{describe(node)} sums over it")
            trace.lock(out, other, f"{describe(node)} sums over it")
        else:
            trace.tie(x, other, out, other, node)


def _layer_normalization(trace: Trace, node: ir.Node) -> None:
    """What is normalized over stays: mean and variance would be those of other numbers."""
    x, out = node.inputs[0], node.outputs[0]
    if x is None:
        return
    first = axis_of(node, "axis", rank_of(x), -1)
    for axis in range(rank_of(x)):
        if axis < first:
            trace.tie(x, axis, out, axis, node)
            continue
        for value in (x, out):
            trace.lock(value, axis, f"{describe(node)} normalizes over it")
    for value in (*node.inputs[1:], *node.outputs[1:]):
        trace.lock_all(value, f"{describe(node)} normalizes over it")


def _reduce(trace: Trace, node: ir.Node) -> None:
    x, out = node.inputs[0], node.outputs[0]
    axes = axes_given(node)
    if x is None or axes is None:
        for value in (x, out):
            trace.lock_all(value, f"{describe(node)} sums over everything")
        return
    rank = rank_of(x)
    gone = {axis + rank if axis < 0 else axis for axis in axes}
    keeps = facts.int_attribute(node, "keepdims") != 0
    place = 0
    for axis in range(rank):
        if axis in gone:
            trace.lock(x, axis, f"{describe(node)} sums over it")
            place += keeps
        else:
            trace.tie(x, axis, out, place, node)
            place += 1


_POOLS = ("MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
_REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2")

HANDLERS: Mapping[str, Handler] = {
    "BatchNormalization": _batch_normalization,
    "InstanceNormalization": _batch_normalization,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "LayerNormalization": _layer_normalization,
    "RMSNormalization": _layer_normalization,
    "Resize": _resize,
    "Upsample": _resize,
    **dict.fromkeys(_POOLS, _pool),
    **dict.fromkeys(_REDUCTIONS, _reduce),
}
