"""Type and shape of ONNX Runtime's FusedMatMul: those of MatMul on operands whose last two dims may change places."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import onnx_ir as ir

from ncgopt.facts import attributes
from ncgopt.facts.types import UNKNOWN, ValueType, from_proto, to_proto


def output_type(node: ir.Node, known: Callable[[ir.Value], ValueType]) -> ValueType | None:
    """Type of the only output of `node`; None where it is no FusedMatMul.

    Operands whose batch dims are transposed (`transBatchA`, `transBatchB`) are not looked into.

    Args:
        node: any node.
        known: what is known of one of its inputs.
    """
    if (node.domain, node.op_type) != ("com.microsoft", "FusedMatMul") or len(node.inputs) != 2:
        return None
    a, b = node.inputs
    if a is None or b is None:
        return UNKNOWN
    dtype = known(a).dtype
    if dtype is None or any(_flag(node, name) != 0 for name in ("transBatchA", "transBatchB")):
        return ValueType(dtype, None)
    left, right = _turned(known(a), _flag(node, "transA")), _turned(known(b), _flag(node, "transB"))
    proto = onnx.NodeProto(op_type="MatMul", input=["i0", "i1"], output=["o0"])
    types = {"i0": to_proto(ValueType(dtype, left.shape)), "i1": to_proto(ValueType(dtype, right.shape))}
    try:
        inferred = onnx.shape_inference.infer_node_outputs(onnx.defs.get_schema("MatMul", 13, ""), proto, types)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, ValueError, RuntimeError):
        return ValueType(dtype, None)  # contradictory: nothing is proven about the shape
    return ValueType(dtype, from_proto(inferred.get("o0")).shape)


def _flag(node: ir.Node, name: str) -> int | None:
    return attributes.int_attribute(node, name) if attributes.is_set(node, name) else 0


def _turned(operand: ValueType, flag: int | None) -> ValueType:
    dims = operand.shape
    if flag is None:
        return UNKNOWN
    if not flag or dims is None or len(dims) < 2:
        return operand
    return ValueType(operand.dtype, (*dims[:-2], dims[-1], dims[-2]))
