"""com.microsoft MatMulIntegerToFloat and DynamicQuantizeMatMul (ONNX Runtime, docs/ContribOperators.md)."""

from __future__ import annotations

import numpy as np
from onnx.reference.op_run import OpRun


def _centred(quantized, zero_point):
    return quantized.astype(np.int64) - (0 if zero_point is None else np.asarray(zero_point).astype(np.int64))


def _single(parameter):
    if parameter is not None and np.size(parameter) != 1:
        raise ValueError("one scale and one zero point for a")
    return parameter


def _product(a, b, scale, b_zero_point, bias):
    """`bias` is added per column, as the kernel does it: whatever has another length is an error."""
    if any(np.ndim(parameter) > 1 for parameter in (scale, b_zero_point, bias) if parameter is not None):
        raise ValueError("scales, zero points and biases are numbers or vectors")
    y = np.matmul(a, _centred(b, b_zero_point)).astype(np.float32) * scale
    if bias is not None:
        if bias.shape != (b.shape[-1],):
            raise ValueError("one bias per column")
        y = y + bias
    return y.astype(np.float32)


class MatMulIntegerToFloat(OpRun):
    """`Y = (A - a_zero_point) @ (B - b_zero_point) * (a_scale * b_scale) + bias`."""

    op_domain = "com.microsoft"

    def _run(self, a, b, a_scale, b_scale, a_zero_point=None, b_zero_point=None, bias=None):
        scale = np.asarray(_single(a_scale)).reshape(()) * b_scale
        return (_product(_centred(a, _single(a_zero_point)), b, scale, b_zero_point, bias),)


class DynamicQuantizeMatMul(OpRun):
    """The same with A quantized on the way, as DynamicQuantizeLinear-11 does it."""

    op_domain = "com.microsoft"

    def _run(self, a, b, b_scale, b_zero_point=None, bias=None):
        low = np.minimum(np.min(a, initial=0), 0).astype(np.float32)
        high = np.maximum(np.max(a, initial=0), 0).astype(np.float32)
        scale = np.float32((high - low) / np.float32(255)) if high != low else np.float32(1)
        zero_point = np.rint(np.clip(-low / scale, 0, 255))
        quantized = np.clip(np.rint(a / scale) + zero_point, 0, 255)
        return (_product((quantized - zero_point).astype(np.int64), b, scale * b_scale, b_zero_point, bias),)
