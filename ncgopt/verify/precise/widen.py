"""A node that computes in float64 instead of the narrower floats it was written for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeGuard

import numpy as np
import onnx

from ncgopt.runtime.session import Array, Value

_helper: Any = onnx.numpy_helper
_TensorProto: Any = onnx.TensorProto
_NARROW = {_TensorProto.FLOAT, _TensorProto.FLOAT16, _TensorProto.BFLOAT16}
NARROW_NAMES = frozenset({"float32", "float16", "bfloat16"})
# Attributes that name an element type.
_TYPES = {("Cast", "to"), ("EyeLike", "dtype"), ("SequenceEmpty", "dtype")}


def widened(node: onnx.NodeProto) -> onnx.NodeProto:
    """A copy of a node with every narrow float in it, subgraphs included, made a float64."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    _widen_node(copy)
    return copy


def wide(value: Value) -> Value:
    """A value with narrow floats made float64."""
    if isinstance(value, list):
        return [wide(part) for part in value]
    if isinstance(value, np.ndarray) and value.dtype.name in NARROW_NAMES:
        converted: Array = value.astype(np.float64, order="C")
        return converted
    return value


def is_narrow(value: Value) -> TypeGuard[Array]:
    """Whether a value is an array of floats narrower than float64."""
    return isinstance(value, np.ndarray) and value.dtype.name in NARROW_NAMES


def _widen_node(node: Any) -> None:
    for attribute in node.attribute:
        if (node.op_type, attribute.name) in _TYPES and attribute.i in _NARROW:
            attribute.i = _TensorProto.DOUBLE
        if attribute.HasField("t"):
            _widen_tensor(attribute.t)
        if node.op_type == "Constant" and attribute.name in {"value_float", "value_floats"}:
            _widen_constant(attribute)
        for graph in _graphs(attribute):
            _widen_graph(graph)


def _widen_constant(attribute: Any) -> None:
    content = attribute.f if attribute.name == "value_float" else list(attribute.floats)
    tensor = _helper.from_array(np.asarray(content, dtype=np.float64))
    attribute.Clear()
    attribute.name, attribute.type = "value", onnx.AttributeProto.TENSOR
    attribute.t.CopyFrom(tensor)


def _widen_graph(graph: Any) -> None:
    for tensor in graph.initializer:
        _widen_tensor(tensor)
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        if value.type.HasField("tensor_type") and value.type.tensor_type.elem_type in _NARROW:
            value.type.tensor_type.elem_type = _TensorProto.DOUBLE
    for node in graph.node:
        _widen_node(node)


def _widen_tensor(tensor: Any) -> None:
    if tensor.data_type in _NARROW:
        tensor.CopyFrom(_helper.from_array(_helper.to_array(tensor).astype(np.float64), tensor.name))


def _graphs(attribute: Any) -> Iterator[Any]:
    if attribute.HasField("g"):
        yield attribute.g
    yield from attribute.graphs
