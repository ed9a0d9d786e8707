"""Types, shapes and value infos: messages from and to the in-memory form."""

from __future__ import annotations

import base64

import onnx
import onnx_ir as ir

_MARK = "ncgopt.type:"
"""Denotation of a type that the in-memory form cannot express.

The message itself follows in base64, so it goes wherever the type of the value goes: through
renames, replacements, clones, even through onnx-ir's own serialization.
"""


def read_type(proto: onnx.TypeProto) -> ir.TypeProtocol | None:
    """The type without its shape, None if there is none.

    Maps, opaque types, sequences and optionals without element type and unknown element types come
    back as a tensor type of undefined elements that carries the original.
    """
    if proto.WhichOneof("value") is None:
        return None
    known = _read_known_type(proto)
    if known is not None:
        return known
    text = base64.b64encode(proto.SerializePartialToString(deterministic=True)).decode()
    return ir.TensorType(ir.DataType.UNDEFINED, denotation=_MARK + text)


def read_shape(proto: onnx.TypeProto) -> ir.Shape | None:
    """The shape of the (innermost) tensor, None if unknown.

    A negative size and an empty name both mean "unknown", as in ONNX Runtime.
    """
    kind = proto.WhichOneof("value")
    if kind in {"sequence_type", "optional_type"}:
        return read_shape(getattr(proto, kind).elem_type)
    if kind not in {"tensor_type", "sparse_tensor_type"} or not getattr(proto, kind).HasField("shape"):
        return None
    dims: list[int | str | None] = []
    denotations: list[str | None] = []
    for dim in getattr(proto, kind).shape.dim:
        size = dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else None
        dims.append(size if size is not None else dim.dim_param or None)
        denotations.append(dim.denotation or None)
    return ir.Shape(dims, denotations=denotations, frozen=True)


def write_type(type_: ir.TypeProtocol | None, shape: ir.Shape | None) -> onnx.TypeProto:
    """The message for a type and the shape of its (innermost) tensor."""
    proto = onnx.TypeProto()
    if type_ is None:
        return proto
    if type_.denotation and type_.denotation.startswith(_MARK):
        proto.ParseFromString(base64.b64decode(type_.denotation[len(_MARK) :]))
        return proto
    if type_.denotation:
        proto.denotation = type_.denotation
    if isinstance(type_, ir.SequenceType):
        proto.sequence_type.elem_type.CopyFrom(write_type(type_.elem_type, shape))
        return proto
    if isinstance(type_, ir.OptionalType):
        proto.optional_type.elem_type.CopyFrom(write_type(type_.elem_type, shape))
        return proto
    tensor = proto.sparse_tensor_type if isinstance(type_, ir.SparseTensorType) else proto.tensor_type
    tensor.elem_type = type_.dtype.value
    if shape is not None:
        tensor.shape.SetInParent()
        for index, dim in enumerate(shape):
            _write_dim(tensor.shape.dim.add(), dim, shape.get_denotation(index))
    return proto


def read_value_info(proto: onnx.ValueInfoProto, value: ir.Value) -> None:
    """Set on `value` what the message says, leaving alone what it does not say."""
    if (type_ := read_type(proto.type)) is not None:
        value.type = type_
    if (shape := read_shape(proto.type)) is not None:
        value.shape = shape
    if proto.doc_string:
        value.doc_string = proto.doc_string
    if proto.metadata_props:
        value.metadata_props.update({entry.key: entry.value for entry in proto.metadata_props})


def write_value_info(value: ir.Value, name: str) -> onnx.ValueInfoProto:
    """The message for a value; an initializer without a type gets that of its tensor."""
    proto = onnx.ValueInfoProto(name=name)
    type_, shape = value.type, value.shape
    if value.const_value is not None and value.is_initializer():
        type_ = ir.TensorType(value.const_value.dtype) if type_ is None else type_
        shape = ir.Shape(value.const_value.shape.numpy()) if shape is None else shape
    written = write_type(type_, shape)
    if written.WhichOneof("value") is not None or written.denotation:
        proto.type.CopyFrom(written)
    if value.doc_string:
        proto.doc_string = value.doc_string
    for key, text in value.metadata_props.items():
        proto.metadata_props.add(key=key, value=text)
    return proto


def _read_known_type(proto: onnx.TypeProto) -> ir.TypeProtocol | None:
    kind = proto.WhichOneof("value")
    denotation = proto.denotation or None
    if kind in {"tensor_type", "sparse_tensor_type"}:
        try:
            dtype = ir.DataType(getattr(proto, kind).elem_type)
        except ValueError:
            return None
        return (ir.TensorType if kind == "tensor_type" else ir.SparseTensorType)(dtype, denotation=denotation)
    if kind in {"sequence_type", "optional_type"}:
        inner = _read_known_type(getattr(proto, kind).elem_type)
        if inner is not None:
            return (ir.SequenceType if kind == "sequence_type" else ir.OptionalType)(inner, denotation=denotation)
    return None


def _write_dim(proto: onnx.TensorShapeProto.Dimension, dim: int | ir.SymbolicDim, denotation: str | None) -> None:
    if isinstance(dim, int):
        proto.dim_value = dim
    elif dim.value is not None:
        proto.dim_param = str(dim.value)
    if denotation:
        proto.denotation = denotation
