"""Attributes of nodes and functions: messages from and to the in-memory form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import onnx
import onnx_ir as ir

from ncgopt.errors import ModelInvalid
from ncgopt.model import messages
from ncgopt.model.tensor_reader import TensorReader
from ncgopt.model.tensors import SparseTensor, write_tensor
from ncgopt.model.values import read_shape, read_type, write_type

SPARSE_VALUE = "sparse_value"
_Type = ir.AttributeType
_FIELDS = {
    _Type.FLOAT: "f",
    _Type.INT: "i",
    _Type.STRING: "s",
    _Type.TENSOR: "t",
    _Type.GRAPH: "g",
    _Type.SPARSE_TENSOR: "sparse_tensor",
    _Type.TYPE_PROTO: "tp",
    _Type.FLOATS: "floats",
    _Type.INTS: "ints",
    _Type.STRINGS: "strings",
    _Type.TENSORS: "tensors",
    _Type.GRAPHS: "graphs",
    _Type.SPARSE_TENSORS: "sparse_tensors",
    _Type.TYPE_PROTOS: "type_protos",
}
_HEAVY = {
    _Type.TENSOR,
    _Type.TENSORS,
    _Type.GRAPH,
    _Type.GRAPHS,
    _Type.SPARSE_TENSOR,
    _Type.SPARSE_TENSORS,
}
"""Attributes whose content is kept apart from their message: it is large, or has parts of its own."""

GraphReader = Callable[[onnx.GraphProto, str], ir.Graph]
GraphWriter = Callable[[ir.Graph], onnx.GraphProto]
TensorWriter = Callable[[ir.TensorProtocol], onnx.TensorProto]


def read_attribute(
    proto: onnx.AttributeProto, tensors: TensorReader, graph: GraphReader, where: str, *, constant: bool = False
) -> ir.Attr:
    """The attribute; strings that are not UTF-8 come back with surrogate escapes.

    `sparse_value` of a Constant comes back as `value`, so that one attribute holds the constant.

    Raises:
        ModelInvalid: no type, an unknown type, a graph without content, or an invalid tensor.
    """
    try:
        type_ = ir.AttributeType(proto.type)
    except ValueError as error:
        raise ModelInvalid(f"{where} has the unknown attribute type {proto.type}") from error
    doc = proto.doc_string or None
    if proto.ref_attr_name:
        attribute = ir.RefAttr(proto.name, proto.ref_attr_name, type_, doc_string=doc)
        messages.remember(attribute.meta, proto, _write_head(attribute))
        return attribute
    if type_ == _Type.UNDEFINED:
        raise ModelInvalid(f"{where} has no type")
    content = getattr(proto, _FIELDS[type_])
    if type_ in {_Type.GRAPH, _Type.TENSOR, _Type.SPARSE_TENSOR} and not proto.HasField(cast(Any, _FIELDS[type_])):
        raise ModelInvalid(f"{where} is of type {type_.name}, but holds none")
    value = _read_content(type_, content, tensors, graph, where)
    if constant and proto.name == SPARSE_VALUE and type_ == _Type.SPARSE_TENSOR:
        attribute = ir.Attr("value", _Type.TENSOR, value, doc_string=doc)
    else:
        attribute = ir.Attr(proto.name, type_, value, doc_string=doc)
    heavy = {_FIELDS[type_]} if type_ in _HEAVY else set[str]()
    messages.remember(attribute.meta, messages.header(proto, heavy), _write_head(attribute))
    return attribute


def write_attribute(attribute: ir.Attr, tensor: TensorWriter, graph: GraphWriter) -> onnx.AttributeProto:
    """The attribute as a message, its tensors and graphs written by the functions given."""
    proto = _write_head(attribute)
    messages.restore(attribute.meta, proto)
    if attribute.is_ref():
        return proto
    match attribute.type:
        case _Type.TENSOR:
            proto.t.CopyFrom(tensor(attribute.as_tensor()))
        case _Type.TENSORS:
            proto.tensors.extend(tensor(item) for item in attribute.as_tensors())
        case _Type.GRAPH:
            proto.g.CopyFrom(graph(attribute.as_graph()))
        case _Type.GRAPHS:
            proto.graphs.extend(graph(item) for item in attribute.as_graphs())
        case _Type.SPARSE_TENSOR:
            proto.sparse_tensor.CopyFrom(write_sparse(attribute.value, tensor))
        case _Type.SPARSE_TENSORS:
            proto.sparse_tensors.extend(write_sparse(item, tensor) for item in attribute.value)
        case _:
            pass
    return proto


def write_sparse_value(attribute: ir.Attr, tensor: TensorWriter) -> onnx.AttributeProto:
    """The `value` of a Constant that holds a sparse tensor, as `sparse_value`."""
    proto = _write_head(attribute)
    messages.restore(attribute.meta, proto)
    proto.name, proto.type = SPARSE_VALUE, onnx.AttributeProto.SPARSE_TENSOR
    proto.sparse_tensor.CopyFrom(write_sparse(attribute.value, tensor))
    return proto


def write_sparse(sparse: SparseTensor, tensor: TensorWriter = write_tensor) -> onnx.SparseTensorProto:
    """The sparse tensor as a message."""
    proto = messages.header(sparse.sparse, {"values", "indices"})
    proto.values.CopyFrom(tensor(sparse.values))
    proto.indices.CopyFrom(tensor(sparse.indices))
    return proto


def _read_content(type_: ir.AttributeType, content: Any, tensors: TensorReader, graph: GraphReader, where: str) -> Any:
    match type_:
        case _Type.STRING:
            return content.decode("utf-8", "surrogateescape")
        case _Type.STRINGS:
            return [item.decode("utf-8", "surrogateescape") for item in content]
        case _Type.TENSOR:
            return tensors.read(content, where)
        case _Type.TENSORS:
            return [tensors.read(item, where) for item in content]
        case _Type.SPARSE_TENSOR:
            return tensors.read_sparse(content, where)
        case _Type.SPARSE_TENSORS:
            return [tensors.read_sparse(item, where) for item in content]
        case _Type.GRAPH:
            return graph(content, where)
        case _Type.GRAPHS:
            return [graph(item, where) for item in content]
        case _Type.TYPE_PROTO:
            return ir.TypeAndShape(read_type(content), read_shape(content))
        case _Type.TYPE_PROTOS:
            return [ir.TypeAndShape(read_type(item), read_shape(item)) for item in content]
        case _:
            return content


def _write_head(attribute: ir.Attr) -> onnx.AttributeProto:
    """The attribute without tensors and graphs."""
    proto = onnx.AttributeProto(name=attribute.name, type=cast(Any, attribute.type.value))
    if attribute.doc_string:
        proto.doc_string = attribute.doc_string
    if attribute.ref_attr_name is not None:
        proto.ref_attr_name = attribute.ref_attr_name
        return proto
    if attribute.type in _HEAVY or attribute.value is None:
        return proto
    field, value = _FIELDS[attribute.type], attribute.value
    match attribute.type:
        case _Type.STRING:
            proto.s = _to_bytes(value)
        case _Type.STRINGS:
            proto.strings.extend(_to_bytes(item) for item in cast("Sequence[str | bytes]", value))
        case _Type.TYPE_PROTO:
            proto.tp.CopyFrom(write_type(value.type, value.shape))
        case _Type.TYPE_PROTOS:
            proto.type_protos.extend(write_type(item.type, item.shape) for item in value)
        case _Type.INT | _Type.FLOAT:
            setattr(proto, field, value)
        case _:
            getattr(proto, field).extend(value)
    return proto


def _to_bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
