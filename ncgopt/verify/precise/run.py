"""A model, or a part of one, computed in float64 node by node: ONNX Runtime's kernels, ours where it has none.

The weights stay what they are; only arithmetic is wide. onnx's ReferenceEvaluator is not used: it is
wrong for a grouped ConvTranspose and for BatchNormalization below operator set 14, and slow.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from ncgopt.facts.determinism import is_deterministic
from ncgopt.model.ondisk import FileTensor
from ncgopt.runtime.session import Array, LoadError, RunError, Value, open_session
from ncgopt.verify.graph import attribute
from ncgopt.verify.precise.kernels import KERNELS, Get, Unsupported
from ncgopt.verify.precise.narrow import KERNELS as NARROW_KERNELS
from ncgopt.verify.precise.narrow import MOVES, SMALLEST
from ncgopt.verify.precise.widen import is_narrow, wide, widened
from ncgopt.verify.windows.piece import type_of
from ncgopt.verify.windows.side import NodeWriter, Side, inputs_of

# Rounding to a grid turns the last bit into a step: in float64 other steps are taken, which says nothing.
_GRIDS = ("QuantizeLinear", "DynamicQuantizeLinear", "Quantize")


class NoReference(ValueError):
    """Why a model has no float64 reference."""


def run_precisely(
    side: Side, nodes: Sequence[ir.Node], values: Mapping[str, Value], wanted: Collection[str], *, until: float
) -> dict[str, Value]:
    """What nodes compute in float64 of values as they are given (narrow floats are widened).

    Args:
        side: the model.
        nodes: in an order in which they can run.
        values: everything they read from outside that is no constant.
        wanted: names of the values to return.
        until: the time (`time.monotonic`) at which to give up.

    Raises:
        NoReference: an operator has no float64 implementation, is random or quantizes, or time is up.
    """
    live: dict[str, Value] = {name: wide(value) for name, value in values.items()}
    found = {name: live[name] for name in wanted if name in live}
    last = {value.name or "": place for place, node in enumerate(nodes) for value in inputs_of(node)}
    for place, node in enumerate(nodes):
        if time.monotonic() > until:
            raise NoReference("it takes too long")
        given: dict[str, Value] = {}
        for value in inputs_of(node):
            name, tensor = value.name or "", side.tensor(value)
            if name in live:
                given[name] = live[name]
            elif tensor is not None:
                given[name] = _elements(tensor)
        outputs = _run_node(side, node, given)
        live |= outputs
        found |= {name: wide(value) for name, value in outputs.items() if name in wanted}
        for value in inputs_of(node):
            if last[value.name or ""] == place:
                live.pop(value.name or "", None)
    for name in wanted:
        tensor = side.tensor(side.values[name])
        if name not in found and tensor is not None:
            found[name] = wide(np.array(_elements(tensor)))
    return found


def _elements(tensor: ir.TensorProtocol) -> Array:
    """A weight as it is, where it lies if it is large."""
    return tensor.view() if isinstance(tensor, FileTensor) else tensor.numpy()


def _run_node(side: Side, node: ir.Node, given: Mapping[str, Value]) -> dict[str, Value]:
    what = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
    if any(word in node.op_type for word in _GRIDS) or not is_deterministic(node):
        raise NoReference(f"{what} has none")
    proto = NodeWriter().node(node)
    found = _run_narrow(side, node, proto, given, what)
    if found is not None:
        return found
    live = {name: wide(value) for name, value in given.items()}
    if node.op_type == "Resize" and not node.domain:
        return _resize(side, node, proto, live)
    kernel = KERNELS.get(node.op_type) if not node.domain else None
    if kernel is None:
        return _by_onnxruntime(side, node, widened(proto), live, what)
    try:
        return {node.outputs[0].name or "": kernel(_arrays(node, live), _reader(proto))}
    except Unsupported as error:
        raise NoReference(str(error)) from None


def _run_narrow(
    side: Side, node: ir.Node, proto: onnx.NodeProto, given: Mapping[str, Value], what: str
) -> dict[str, Value] | None:
    """What a node computes of large weights that stay narrow; None where there are none, or it cannot be done."""
    large = [value for value in given.values() if is_narrow(value) and value.size >= SMALLEST]
    if not large or node.domain:
        return None
    floats = [value for value in given.values() if isinstance(value, np.ndarray) and value.dtype.kind in "fV"]
    if node.op_type in MOVES and all(is_narrow(value) for value in floats):
        return _by_onnxruntime(side, node, proto, given, what)
    kernel = NARROW_KERNELS.get(node.op_type)
    if kernel is None:
        return None
    try:
        return {node.outputs[0].name or "": kernel(_arrays(node, given), _reader(proto))}
    except Unsupported:
        return None


def _arrays(node: ir.Node, values: Mapping[str, Value]) -> list[Array | None]:
    found = [None if value is None else values[value.name or ""] for value in node.inputs]
    return [value if isinstance(value, np.ndarray) else None for value in found]


def _reader(proto: onnx.NodeProto) -> Get:
    def get(name: str, default: Any) -> Any:
        return attribute(proto, name, default)

    return get


def _resize(side: Side, node: ir.Node, proto: onnx.NodeProto, live: Mapping[str, Value]) -> dict[str, Value]:
    """Resize is linear in its first input: in two float32 parts, which together are (almost) a float64.

    What it interpolates is rounded as the original rounds it.
    """
    first, *others = (value.name or "" if value is not None else "" for value in node.inputs)
    x = live[first]
    if not isinstance(x, np.ndarray) or x.dtype != np.float64:
        return _by_onnxruntime(side, node, proto, live, "Resize")
    coarse = x.astype(np.float32)
    narrow = {name: _narrow(live[name]) for name in others if name}
    parts = [
        _by_onnxruntime(side, node, proto, {**narrow, first: part}, "Resize")
        for part in (coarse, (x - coarse).astype(np.float32))
    ]
    name = node.outputs[0].name or ""
    return {name: np.add(*(np.asarray(part[name], dtype=np.float64) for part in parts))}


def _narrow(value: Value) -> Value:
    return value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype == np.float64 else value


def _in_place(value: Value) -> Value:
    """A value as native code wants it."""
    return np.require(value, requirements=["C", "ALIGNED"]) if isinstance(value, np.ndarray) else value


def _by_onnxruntime(
    side: Side, node: ir.Node, proto: onnx.NodeProto, live: Mapping[str, Value], what: str
) -> dict[str, Value]:
    names = [value.name or "" for value in inputs_of(node)]
    outputs = [value.name for value in node.outputs if value.name]
    model = onnx.ModelProto(ir_version=max(side.model.ir_version, 4))
    for domain, version in side.model.graph.opset_imports.items():
        model.opset_import.add(domain=domain, version=version)
    graph: Any = model.graph
    graph.name = "node"
    graph.node.append(proto)
    feeds: dict[str, Value] = {}
    try:
        for name in names:
            value = live[name]
            if isinstance(value, np.ndarray) and value.size <= 16 and value.dtype.kind in "iubf":
                # Shapes, axes, scales: many kernels want them constant.
                graph.initializer.append(onnx.numpy_helper.from_array(value, name))
            else:
                feeds[name] = _in_place(value)
                graph.input.add(name=name).type.CopyFrom(type_of(name, value))
        for name in outputs:
            graph.output.add(name=name)
        results = open_session(model.SerializeToString(), optimize=False, arena=False).run(feeds)
    except (LoadError, RunError) as error:
        raise NoReference(f"{what} has none ({error})") from None
    return dict(zip(outputs, results, strict=True))
