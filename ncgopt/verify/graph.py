"""A model read for its structure alone: who uses what, which shapes and small constants are known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
from onnx import inliner, shape_inference

from ncgopt.runtime.session import Array
from ncgopt.verify.inputs import Dim
from ncgopt.verify.outline import read_outline, tensors_of

# onnx ships no complete type stubs: the messages are handled as Any from here on.
_helper: Any = onnx.numpy_helper
_TensorProto: Any = onnx.TensorProto

_SMALL = 4096  # bytes; larger weights matter for their shape only
_RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}


@dataclass(frozen=True)
class Use:
    """One input slot of one node."""

    node: Any
    slot: int


@dataclass
class GraphView:
    """What `read_graph` found, over the main graph and all subgraphs, local functions inlined.

    Attributes:
        proto: the main graph, without large weights.
        uses: per value, the slots it goes into.
        producers: per value, the node that computes it.
        shapes: per value, its dimensions as far as known (None for an unknown one).
        constants: per value, its content where it is a small constant.
        operators: every `domain::op` in use, `op` alone for the default domain.
        functions: `domain::op` of local functions.
        random: whether some operator draws random numbers.
        aliases: inputs of subgraph bodies that carry a value of the outer graph.
    """

    proto: Any
    uses: dict[str, list[Use]] = field(default_factory=lambda: defaultdict[str, list[Use]](list))
    producers: dict[str, Any] = field(default_factory=dict[str, Any])
    shapes: dict[str, tuple[Dim | None, ...]] = field(default_factory=dict[str, tuple[Dim | None, ...]])
    constants: dict[str, Array] = field(default_factory=dict[str, Array])
    operators: set[str] = field(default_factory=set[str])
    functions: set[str] = field(default_factory=set[str])
    random: bool = False
    aliases: dict[str, list[str]] = field(default_factory=lambda: defaultdict[str, list[str]](list))


def read_graph(path: Path) -> tuple[GraphView, int, int]:
    """The graph of the model at `path`, its IR version, and its bytes on disk. External data is not read.

    Raises:
        InputUnreadable: there is no such file, or it is no ONNX model.
    """
    outline = read_outline(path)
    model = outline.proto
    size = outline.file.size + sum(_external_bytes(tensor) for tensor in model.graph.initializer)
    for tensor in tensors_of(model):
        place = outline.place(tensor)
        if place is not None and place[1] > _SMALL:
            _forget(tensor)
        else:
            outline.fill(tensor)
    _forget_weights(model.graph)
    functions = {operator_name(function.domain, function.name) for function in model.functions}
    view = GraphView(_inferred(model).graph, functions=functions)
    _enter(view, view.proto)
    return view, int(model.ir_version), size


def operator_name(domain: str, op_type: str) -> str:
    """`Conv` in the default domain, `com.microsoft::FusedGemm` elsewhere."""
    return op_type if domain in {"", "ai.onnx"} else f"{domain}::{op_type}"


def attribute(node: Any, name: str, default: Any) -> Any:
    """An attribute's value, or the default."""
    for found in node.attribute:
        if found.name == name:
            return onnx.helper.get_attribute_value(found)
    return default


def nodes_of(graph: Any) -> Iterator[Any]:
    """All nodes of a graph and of the subgraphs in it."""
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from nodes_of(inner)


def subgraphs(node: Any) -> Iterator[Any]:
    """The graphs in a node's attributes."""
    for found in node.attribute:
        if found.HasField("g"):
            yield found.g
        yield from found.graphs


def dims_of(value_type: Any) -> tuple[Dim | None, ...] | None:
    """Dimensions of a TypeProto's tensor: number, symbol, or None; None for an unknown rank."""
    if not value_type.HasField("shape"):
        return None
    return tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else (dim.dim_param.strip() or None)
        for dim in value_type.shape.dim
    )


def _forget_weights(graph: Any) -> None:
    """Drop large contents before the model is copied around; their shapes stay."""
    for tensor in graph.initializer:
        if len(tensor.raw_data) > _SMALL:
            _forget(tensor)
        elif max(len(tensor.float_data), len(tensor.int32_data), len(tensor.int64_data)) * 4 > _SMALL:
            for name in ("float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
                tensor.ClearField(name)
            tensor.data_location = _TensorProto.EXTERNAL


def _forget(tensor: Any) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = _TensorProto.EXTERNAL


def _external_bytes(tensor: Any) -> int:
    if tensor.data_location != _TensorProto.EXTERNAL:
        return 0
    length = next((entry.value for entry in tensor.external_data if entry.key == "length"), "")
    return int(length) if length.isdecimal() else 0


def _inferred(model: Any) -> Any:
    """The model with functions inlined and shapes inferred, as far as onnx manages that.

    Both are onnx's own C++ code working on models that it may not know (custom operators, sloppy
    files that ONNX Runtime takes); a refusal costs knowledge, which feeds can do without.
    """
    for step in (inliner.inline_local_functions, shape_inference.infer_shapes):
        if step is inliner.inline_local_functions and not model.functions:
            continue
        try:
            model = step(model)
        except (RuntimeError, ValueError, TypeError, shape_inference.InferenceError):
            continue
    return model


def _enter(view: GraphView, graph: Any) -> None:
    for tensor in graph.initializer:
        view.shapes[tensor.name] = tuple(tensor.dims)
        _remember(view, tensor.name, tensor)
    for sparse in graph.sparse_initializer:
        view.shapes[sparse.values.name] = tuple(sparse.dims)
    for value in (*graph.value_info, *graph.input, *graph.output):
        if value.type.HasField("tensor_type"):
            dims = dims_of(value.type.tensor_type)
            if dims is not None:
                view.shapes.setdefault(value.name, dims)
    for node in graph.node:
        _enter_node(view, node)


def _enter_node(view: GraphView, node: Any) -> None:
    view.operators.add(operator_name(node.domain, node.op_type))
    view.operators.update(operator_name(inner.domain, inner.op_type) for g in subgraphs(node) for inner in nodes_of(g))
    for slot, name in enumerate(node.input):
        if name:
            view.uses[name].append(Use(node, slot))
    for name in node.output:
        view.producers[name] = node
    training = node.op_type == "Dropout" and len(node.input) > 2
    view.random = view.random or node.op_type in _RANDOM or training
    if node.op_type == "Constant":
        _enter_constant(view, node)
    for inner in subgraphs(node):
        # Loop bodies get (iteration, condition, carried...) for (count, condition, carried...).
        if node.op_type in {"Loop", "Scan"}:
            for outer, body in zip(node.input, inner.input, strict=False):
                if outer:
                    view.aliases[outer].append(body.name)
        if node.domain != "com.microsoft":  # a decoder in BeamSearch has names of its own, see `nested`
            _enter(view, inner)


def _enter_constant(view: GraphView, node: Any) -> None:
    for found in node.attribute:
        if found.HasField("t"):
            _remember(view, node.output[0], found.t)
            view.shapes[node.output[0]] = tuple(found.t.dims)
        elif found.name in {"value_int", "value_ints", "value_float", "value_floats"}:
            content = np.asarray(onnx.helper.get_attribute_value(found))
            view.constants[node.output[0]] = content
            view.shapes[node.output[0]] = content.shape


def nested(view: GraphView, graph: Any) -> GraphView:
    """A view of a subgraph whose names may clash with those around it (the decoder of BeamSearch)."""
    inner = GraphView(graph, shapes=dict(view.shapes), constants=dict(view.constants))
    for value in graph.input:
        inner.shapes.pop(value.name, None)
    _enter(inner, graph)
    return inner


def _remember(view: GraphView, name: str, tensor: Any) -> None:
    if tensor.data_location == _TensorProto.EXTERNAL:
        return
    size = int(np.prod(tuple(tensor.dims), dtype=np.int64))
    if size * 8 <= _SMALL and tensor.data_type not in {_TensorProto.STRING, _TensorProto.UNDEFINED}:
        view.constants[name] = cast(Array, _helper.to_array(tensor))
