"""The `QLinear...` operators of com.microsoft and QGemm (ONNX Runtime, docs/ContribOperators.md).

Each is its standard operator between dequantized inputs and a quantized output.
"""

from __future__ import annotations

import numpy as np
from onnx.reference.op_run import OpRun
from onnx.reference.ops.op_average_pool import AveragePool_19


def _single(*parameters):
    if any(parameter is not None and (np.ndim(parameter) > 1 or np.size(parameter) != 1) for parameter in parameters):
        raise ValueError("one scale and one zero point per tensor")


def dequantize(q, scale, zero_point):
    """In float32, as DequantizeLinear does it."""
    _single(scale, zero_point)
    _same_type(q, zero_point)
    return (q.astype(np.float32) - np.float32(np.reshape(zero_point, ()))) * np.float32(np.reshape(scale, ()))


def quantize(x, scale, zero_point, dtype):
    """To `dtype`, as QuantizeLinear does it."""
    _single(scale, zero_point)
    if np.asarray(zero_point).dtype != dtype or np.asarray(scale).dtype != np.float32:
        raise TypeError("integers of one type and a scale of float32")
    ends = np.iinfo(dtype)
    steps = np.rint(x / np.reshape(scale, ())) + np.reshape(zero_point, ()).astype(np.int64)
    return np.clip(steps, ends.min, ends.max).astype(dtype)


def _same_type(q, zero_point):
    if q.dtype != np.asarray(zero_point).dtype or q.dtype not in (np.uint8, np.int8):
        raise TypeError("a zero point has the type of its integers, of 8 bits")


class _Binary(OpRun):
    op_domain = "com.microsoft"
    function = staticmethod(np.add)

    def _run(self, a, a_scale, a_zero, b, b_scale, b_zero, scale, zero):
        y = self.function(dequantize(a, a_scale, a_zero), dequantize(b, b_scale, b_zero))
        return (quantize(np.asarray(y), scale, zero, a.dtype),)


class QLinearAdd(_Binary):
    """`a + b`."""


class QLinearMul(_Binary):
    """`a * b`."""

    function = staticmethod(np.multiply)


class QLinearSigmoid(OpRun):
    """`1 / (1 + exp(-x))`."""

    op_domain = "com.microsoft"

    def _run(self, x, x_scale, x_zero, scale, zero):
        return (quantize(1 / (1 + np.exp(-dequantize(x, x_scale, x_zero))), scale, zero, x.dtype),)


class QLinearLeakyRelu(OpRun):
    """`x`, or `alpha * x` below zero."""

    op_domain = "com.microsoft"

    def _run(self, x, x_scale, x_zero, scale, zero, alpha=0.01):
        wide = dequantize(x, x_scale, x_zero)
        return (quantize(np.where(wide < 0, np.float32(alpha) * wide, wide), scale, zero, x.dtype),)


class QLinearSoftmax(OpRun):
    """Softmax along an axis; before opset 13, over all dimensions from the axis on."""

    op_domain = "com.microsoft"

    def _run(self, x, x_scale, x_zero, scale, zero, axis=None, opset=None):
        axes = (axis,) if opset >= 13 else tuple(range(axis % x.ndim, x.ndim))
        wide = dequantize(x, x_scale, x_zero)
        powers = np.exp(wide - np.max(wide, axis=axes, keepdims=True, initial=-np.inf))
        return (quantize(powers / np.sum(powers, axis=axes, keepdims=True), scale, zero, x.dtype),)


class QLinearAveragePool(OpRun):
    """AveragePool, as of opset 10."""

    op_domain = "com.microsoft"

    def _run(
        self, x, x_scale, x_zero, scale, zero, auto_pad="NOTSET", ceil_mode=0, count_include_pad=0, kernel_shape=None,
        pads=None, strides=None, channels_last=0,
    ):  # fmt: skip
        (y,) = AveragePool_19._run(
            self, dequantize(x, x_scale, x_zero), auto_pad=auto_pad, ceil_mode=ceil_mode, dilations=None,
            count_include_pad=count_include_pad, kernel_shape=kernel_shape, pads=pads, strides=strides,
        )  # fmt: skip
        return (quantize(y, scale, zero, x.dtype),)


class QLinearGlobalAveragePool(OpRun):
    """The mean over all dimensions after the channels."""

    op_domain = "com.microsoft"

    def _run(self, x, x_scale, x_zero, scale, zero, channels_last=0):
        wide = dequantize(x, x_scale, x_zero)
        return (quantize(wide.mean(axis=tuple(range(2, x.ndim)), keepdims=True), scale, zero, x.dtype),)


class QLinearConcat(OpRun):
    """Concat of tensors with a scale and a zero point each."""

    op_domain = "com.microsoft"

    def _run(self, scale, zero, *tensors, axis=None):
        parts = [dequantize(*tensors[k : k + 3]) for k in range(0, len(tensors), 3)]
        return (quantize(np.concatenate(parts, axis=axis), scale, zero, tensors[0].dtype),)


class QLinearWhere(OpRun):
    """Where the condition holds, the first."""

    op_domain = "com.microsoft"

    def _run(self, condition, x, x_scale, x_zero, y, y_scale, y_zero, scale, zero):
        chosen = np.where(condition, dequantize(x, x_scale, x_zero), dequantize(y, y_scale, y_zero))
        return (quantize(chosen, scale, zero, x.dtype),)


class QGemm(OpRun):
    """`alpha * A' @ B' + C`, where C counts in units of the scales' product; floats where y has no zero point."""

    op_domain = "com.microsoft"

    def _run(
        self, a, a_scale, a_zero, b, b_scale, b_zero, c=None, scale=None, zero=None, alpha=1.0,
        transA=0, transB=0,  # noqa: N803
    ):  # fmt: skip
        _single(a_scale, a_zero)
        if any(np.ndim(parameter) > 1 for parameter in (b_scale, b_zero)):
            raise ValueError("one scale per column, as a vector")
        left = a.astype(np.int64) - np.reshape(a_zero, ()).astype(np.int64)
        right = b.T.astype(np.int64) if transB else b.astype(np.int64)
        total = (left.T if transA else left) @ (right - np.asarray(b_zero).astype(np.int64))
        if c is not None:
            total = total + c
        y = (total * (np.float64(alpha) * np.reshape(a_scale, ()) * b_scale)).astype(np.float32)
        return (y if zero is None else quantize(y, scale, zero, a.dtype),)


QUANTIZED = [
    QGemm, QLinearAdd, QLinearAveragePool, QLinearConcat, QLinearGlobalAveragePool, QLinearLeakyRelu, QLinearMul,
    QLinearSigmoid, QLinearSoftmax, QLinearWhere,
]  # fmt: skip
