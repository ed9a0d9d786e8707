"""Shape inference for the `com.microsoft` operators that ncgopt emits: as the standard operator they extend.

Each is described by the standard operator that has the same types and shapes, and the attributes
that one knows (ONNX Runtime, docs/ContribOperators.md).
"""

from __future__ import annotations

import onnx
import onnx_ir as ir

_STANDARD = {
    "FusedGemm": ("Gemm", 13, ("alpha", "beta", "transA", "transB")),
    "FusedConv": ("Conv", 11, ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")),
    "Gelu": ("Relu", 14, ()),
    "FastGelu": ("Relu", 14, ()),
    "QuickGelu": ("Relu", 14, ()),
}
_INPUTS = {"FusedConv": 3, "FastGelu": 1}


def as_standard(node: ir.Node) -> onnx.NodeProto | None:
    """The standard node with the same output types, inputs named `i0 ...`, outputs `o0 ...`; else None."""
    if node.domain != "com.microsoft" or node.op_type not in _STANDARD:
        return None
    op_type, _, names = _STANDARD[node.op_type]
    count = min(len(node.inputs), _INPUTS.get(node.op_type, len(node.inputs)))
    proto = onnx.NodeProto(op_type=op_type)
    proto.input.extend("" if node.inputs[k] is None else f"i{k}" for k in range(count))
    proto.output.append("o0")
    for name in names:
        if name in node.attributes:
            proto.attribute.append(ir.serde.serialize_attribute(node.attributes[name]))
    return proto


def schema_of(proto: onnx.NodeProto) -> onnx.defs.OpSchema:
    """The schema that goes with a node from `as_standard`."""
    version = next(v for op, v, _ in _STANDARD.values() if op == proto.op_type)
    return onnx.defs.get_schema(proto.op_type, version, "")
