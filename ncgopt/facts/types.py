"""Element type and shape of a value, and their form in ONNX messages."""

from __future__ import annotations

from typing import Any

import onnx
import onnx_ir as ir

from ncgopt.facts.symbols import Dim
from ncgopt.records import record

Shape = tuple[Dim, ...]


@record
class ValueType:
    """What is known of a value; None for what is not."""

    dtype: ir.DataType | None
    shape: Shape | None

    @property
    def complete(self) -> bool:
        """Whether there is nothing more to learn."""
        return self.dtype is not None and self.shape is not None and None not in self.shape


UNKNOWN = ValueType(None, None)


def to_proto(known: ValueType) -> onnx.TypeProto:
    """As ONNX's inference takes it; the element type must be known."""
    proto = onnx.TypeProto()
    assert known.dtype is not None
    proto.tensor_type.elem_type = known.dtype.value
    if known.shape is not None:
        dims = proto.tensor_type.shape
        dims.SetInParent()
        for d in known.shape:
            entry = dims.dim.add()
            if isinstance(d, int):
                entry.dim_value = d
            elif d is not None:
                entry.dim_param = d
    return proto


def from_proto(proto: onnx.TypeProto | None) -> ValueType:
    """As ONNX's inference gives it; unknown for what is no tensor."""
    if proto is None or not proto.HasField("tensor_type") or not proto.tensor_type.elem_type:
        return UNKNOWN
    tensor = proto.tensor_type
    dims: Shape | None = None
    if tensor.HasField("shape"):
        dims = tuple(_proto_dim(d) for d in tensor.shape.dim)
    return ValueType(ir.DataType(tensor.elem_type), dims)


def _proto_dim(d: Any) -> Dim:
    if d.HasField("dim_value"):
        return d.dim_value if d.dim_value >= 0 else None
    return d.dim_param or None
