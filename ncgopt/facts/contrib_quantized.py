"""Types and shapes of the quantized `com.microsoft` operators that ncgopt emits or finds.

Their shapes are those of the standard operator that each computes in floats, applied to its data
inputs; their element types follow from an input (ONNX Runtime, docs/ContribOperators.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx
import onnx_ir as ir

from ncgopt.facts.types import UNKNOWN, ValueType, from_proto, to_proto
from ncgopt.records import record


@record
class _Operator:
    """What an operator is without its scales and zero points.

    Attributes:
        standard: the operator that has the same shapes, and the version of it.
        data: which inputs that one takes; none stands for each third one after the first two.
        like: the input whose element type the output has; float32 where it is left out.
    """

    standard: tuple[str, int]
    data: tuple[int, ...]
    like: int


_SCALE = 2  # a scale: its element type is that of the floats
_OPERATORS: Mapping[str, _Operator] = {
    "MatMulIntegerToFloat": _Operator(("MatMul", 13), (0, 1), _SCALE),
    "DynamicQuantizeMatMul": _Operator(("MatMul", 13), (0, 1), _SCALE),
    "QGemm": _Operator(("Gemm", 13), (0, 3), 8),
    "QLinearAdd": _Operator(("Add", 14), (0, 3), 0),
    "QLinearMul": _Operator(("Mul", 14), (0, 3), 0),
    "QLinearSigmoid": _Operator(("Sigmoid", 13), (0,), 0),
    "QLinearLeakyRelu": _Operator(("LeakyRelu", 16), (0,), 0),
    "QLinearSoftmax": _Operator(("Sigmoid", 13), (0,), 0),
    "QLinearAveragePool": _Operator(("AveragePool", 10), (0,), 0),
    "QLinearGlobalAveragePool": _Operator(("GlobalAveragePool", 1), (0,), 0),
    "QLinearConcat": _Operator(("Concat", 13), (), 2),
    # Its weights are laid out otherwise, which decides nothing: `hidden_size` is given.
    "DynamicQuantizeLSTM": _Operator(("LSTM", 14), (0, 1, 2), 0),
    "QLinearWhere": _Operator(("Where", 16), (0, 1, 4), 1),
}


def output_type(node: ir.Node, known: Callable[[ir.Value], ValueType]) -> ValueType | None:
    """Type of the first output of `node`; None where it is no such operator.

    Args:
        node: any node.
        known: what is known of one of its inputs.
    """
    operator = _OPERATORS.get(node.op_type) if node.domain == "com.microsoft" else None
    if operator is None:
        return None
    return ValueType(_dtype(node, operator, known), _shape(node, operator, known).shape)


def _dtype(node: ir.Node, operator: _Operator, known: Callable[[ir.Value], ValueType]) -> ir.DataType | None:
    value = node.inputs[operator.like] if operator.like < len(node.inputs) else None
    return ir.DataType.FLOAT if value is None else known(value).dtype


def _shape(node: ir.Node, operator: _Operator, known: Callable[[ir.Value], ValueType]) -> ValueType:
    op_type, version = operator.standard
    schema = onnx.defs.get_schema(op_type, version, "")
    proto = onnx.NodeProto(op_type=op_type, output=["o0"])
    types: dict[str, onnx.TypeProto] = {}
    for index in operator.data or range(2, len(node.inputs), 3):
        value = node.inputs[index] if index < len(node.inputs) else None
        if value is None:
            return UNKNOWN
        proto.input.append(f"i{index}")
        condition = known(value).dtype == ir.DataType.BOOL
        types[f"i{index}"] = to_proto(
            ValueType(ir.DataType.BOOL if condition else ir.DataType.FLOAT, known(value).shape)
        )
    for name, attribute in node.attributes.items():
        if name in schema.attributes:
            proto.attribute.append(ir.serde.serialize_attribute(attribute))
    try:
        return from_proto(onnx.shape_inference.infer_node_outputs(schema, proto, types).get("o0"))
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, ValueError, RuntimeError):
        return UNKNOWN  # contradictory: nothing is proven
