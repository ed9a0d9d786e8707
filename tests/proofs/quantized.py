"""Operators on quantized tensors: each is its standard operator between dequantized inputs and a quantized output."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from proofs.contractions import scaled
from proofs.execute import CannotExecute, Executor, Value, handles
from proofs.terms import Tensor


def _wide(ex: Executor, q: Tensor, scale: Tensor, zero: Tensor | None, axis: int | None = None) -> Tensor:
    """One scale for the whole tensor, but where an axis is given; in float32, of 8 bits."""
    if scale.elem != TensorProto.FLOAT or (axis is None and scale.data.size != 1):
        raise CannotExecute("scales of another type or number")
    if q.elem not in (TensorProto.INT8, TensorProto.UINT8) or (zero is not None and zero.elem != q.elem):
        raise CannotExecute("a zero point of another type, or not of 8 bits")
    axis = 1 if axis is None else axis
    return ex.call("DequantizeLinear", q, scale, zero, axis=axis)


def _narrow(ex: Executor, y: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    return ex.call("QuantizeLinear", y, scale, zero)


@handles("QLinearAdd", "QLinearMul")
def _binary(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    a, b = _wide(ex, *inputs[:3]), _wide(ex, *inputs[3:6])
    return _narrow(ex, ex.call(node.op_type.removeprefix("QLinear"), a, b), *inputs[6:8])


@handles("QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax", "QLinearAveragePool", "QLinearGlobalAveragePool")
def _unary(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    named = {k: v for k, v in attributes.items() if k not in ("opset", "channels_last")}
    return _narrow(ex, ex.call(node.op_type.removeprefix("QLinear"), _wide(ex, *inputs[:3]), **named), *inputs[3:5])


@handles("QLinearConcat")
def _concat(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    scale, zero, *tensors = inputs
    parts = [_wide(ex, *tensors[k : k + 3]) for k in range(0, len(tensors), 3)]
    return _narrow(ex, ex.call("Concat", *parts, axis=attributes["axis"]), scale, zero)


@handles("QLinearWhere")
def _where(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    condition, a, b = inputs[0], _wide(ex, *inputs[1:4]), _wide(ex, *inputs[4:7])
    return _narrow(ex, ex.call("Where", condition, a, b), *inputs[7:9])


@handles("QLinearMatMul")
def _matmul(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    a, b = _wide(ex, *inputs[:3]), _wide(ex, *inputs[3:6], axis=-1)
    return _narrow(ex, ex.call("MatMul", a, b), *inputs[6:8])


@handles("QLinearConv")
def _conv(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    """The bias counts in units of the product of both scales."""
    x, w = _wide(ex, *inputs[:3]), _wide(ex, *inputs[3:6], axis=0)
    bias = inputs[8] if len(inputs) > 8 else None
    if bias is not None:
        bias = _in_units(ex, bias, inputs[1], inputs[4])
    return _narrow(ex, ex.call("Conv", x, w, bias, **attributes), *inputs[6:8])


def _in_units(ex: Executor, value: Tensor, *scales: Tensor) -> Tensor:
    y = ex.call("Cast", value, to=TensorProto.FLOAT)
    for scale in scales:
        y = ex.call(
            "Mul", y, Tensor(scale.elem, scale.data.reshape(-1) if scale.data.size > 1 else scale.data.reshape(()))
        )
    return y


@handles("QGemm")
def _gemm(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    a, a_scale, a_zero, b, b_scale, b_zero, c, scale, zero = [*inputs, None, None, None][:9]
    axis = 0 if attributes.get("transB") else 1
    wide = [_wide(ex, a, a_scale, a_zero), _wide(ex, b, b_scale, b_zero, axis=axis)]
    bias = None if c is None else scaled(ex, _in_units(ex, c, a_scale, b_scale), attributes.get("alpha", 1.0))
    y = ex.call("Gemm", *wide, bias, **attributes)
    return y if zero is None else _narrow(ex, y, scale, zero)


def _centered(ex: Executor, q: Tensor, zero: Tensor | None) -> Tensor:
    y = ex.call("Cast", q, to=TensorProto.INT32)
    return y if zero is None else ex.call("Sub", y, ex.call("Cast", zero, to=TensorProto.INT32))


@handles("MatMulInteger")
def _matmul_integer(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    a, b, a_zero, b_zero = [*inputs, None, None][:4]
    if a_zero is not None and a_zero.data.size > 1:
        raise CannotExecute("a zero point for each row")
    a_zero = None if a_zero is None else Tensor(a_zero.elem, a_zero.data.reshape(()))
    return ex.call("MatMul", _centered(ex, a, a_zero), _centered(ex, b, b_zero))


@handles("MatMulIntegerToFloat")
def _matmul_integer_to_float(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    a, b, a_scale, b_scale, a_zero, b_zero, bias = [*inputs, None, None, None][:7]
    product = ex.call("MatMulInteger", a, b, a_zero, b_zero)
    if a_scale.data.size != 1 or b_scale.data.ndim > 1 or (bias is not None and bias.data.shape != (b.data.shape[-1],)):
        raise CannotExecute("scales or a bias of another shape")
    y = _in_units(ex, product, a_scale, b_scale)
    return y if bias is None else ex.call("Add", y, bias)


@handles("DynamicQuantizeMatMul")
def _dynamic_quantize_matmul(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    a, b, b_scale, b_zero, bias = [*inputs, None, None][:5]
    q, scale, zero = ex.call("DynamicQuantizeLinear", a, outputs=3)
    return ex.call("MatMulIntegerToFloat", q, b, scale, b_scale, zero, b_zero, bias, domain="com.microsoft")


@handles("DynamicQuantizeLinear")
def _dynamic_quantize_linear(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    """Three functions of the whole tensor, the same for the same tensor."""
    (x,) = inputs
    whole = tuple(x.terms(ex.arena).flat)
    scale = np.array(ex.arena.make("DynamicScale", TensorProto.FLOAT, whole), object)
    zero = np.array(ex.arena.make("DynamicZeroPoint", TensorProto.UINT8, whole), object)
    steps = ex.call("QuantizeLinear", x, Tensor(TensorProto.FLOAT, scale), Tensor(TensorProto.UINT8, zero))
    return steps, Tensor(TensorProto.FLOAT, scale), Tensor(TensorProto.UINT8, zero)
