"""Shape inference for the operators of ONNX Runtime's own that ncgopt emits: as the standard operator they extend.

Each is described by the standard operator that has the same types and shapes, and the attributes
that one knows (ONNX Runtime, docs/ContribOperators.md). Two of them live in the default domain,
where ONNX Runtime knows them at every opset (onnxruntime/core/graph/contrib_ops/contrib_defs.cc):
SimplifiedLayerNormalization, and LayerNormalization long before ONNX had one.
"""

from __future__ import annotations

import onnx
import onnx_ir as ir

from ncgopt.records import record


@record
class Standard:
    """The standard operator, its version, and what of a node it knows.

    Attributes:
        attributes: those that both operators have.
        inputs: how many of the first inputs both have; None for all.
    """

    op_type: str
    version: int
    attributes: tuple[str, ...] = ()
    inputs: int | None = None


_LAYER_NORMALIZATION_SINCE = 17
_ELEMENTWISE = Standard("Relu", 14, inputs=1)
_NORMALIZATION = Standard("RMSNormalization", 23, ("axis", "epsilon", "stash_type"), inputs=2)
_STANDARD = {
    "com.microsoft::FusedGemm": Standard("Gemm", 13, ("alpha", "beta", "transA", "transB")),
    "com.microsoft::FusedConv": Standard(
        "Conv", 11, ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"), inputs=3
    ),
    "com.microsoft::Gelu": _ELEMENTWISE,
    "com.microsoft::FastGelu": _ELEMENTWISE,
    "com.microsoft::QuickGelu": _ELEMENTWISE,
    "com.microsoft::BiasGelu": _ELEMENTWISE,
    "com.microsoft::RotaryEmbedding": _ELEMENTWISE,
    "com.microsoft::SkipLayerNormalization": _ELEMENTWISE,
    "com.microsoft::SkipSimplifiedLayerNormalization": _ELEMENTWISE,
    "::SimplifiedLayerNormalization": _NORMALIZATION,
    "::LayerNormalization": _NORMALIZATION,
}


def standard_of(node: ir.Node) -> Standard | None:
    """What describes a node that ONNX has no schema for; None for operators that it has one for, and unknown ones."""
    if node.op_type == "LayerNormalization" and (node.version or 1) >= _LAYER_NORMALIZATION_SINCE:
        return None
    return _STANDARD.get(f"{node.domain}::{node.op_type}")


def as_standard(node: ir.Node) -> onnx.NodeProto | None:
    """The standard node with the same output types, inputs named `i0 ...`, outputs `o0 ...`; else None."""
    standard = standard_of(node)
    if standard is None:
        return None
    proto = onnx.NodeProto(op_type=standard.op_type)
    proto.input.extend("" if v is None else f"i{k}" for k, v in enumerate(node.inputs[: standard.inputs]))
    proto.output.append("o0")
    for name in standard.attributes:
        if name in node.attributes:
            proto.attribute.append(ir.serde.serialize_attribute(node.attributes[name]))
    return proto


def schema_of(node: ir.Node) -> onnx.defs.OpSchema | None:
    """The schema that goes with what `as_standard` makes of `node`."""
    standard = standard_of(node)
    return None if standard is None else onnx.defs.get_schema(standard.op_type, standard.version, "")
