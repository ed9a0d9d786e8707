"""com.microsoft FusedConv (ONNX Runtime, docs/ContribOperators.md): Conv, an addend Z, then an activation."""

from __future__ import annotations

import numpy as np
from onnx.reference.op_run import OpRun
from onnx.reference.ops.op_conv import Conv

# By the formulas of the standard operators of the same names; x and the parameters.
ACTIVATIONS = {
    "Relu": lambda x: np.maximum(x, 0),
    "Tanh": lambda x: np.tanh(x),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "LeakyRelu": lambda x, alpha: np.where(x < 0, alpha * x, x),
    "HardSigmoid": lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "Clip": lambda x, low, high: np.clip(x, low, high),
}


class FusedConv(OpRun):
    """`Y = activation(Conv(X, W, B) + Z)`."""

    op_domain = "com.microsoft"

    def _run(
        self, x, w, b=None, z=None, activation=None, activation_params=None, auto_pad="NOTSET", dilations=None,
        group=1, kernel_shape=None, pads=None, strides=None,
    ):  # fmt: skip
        (y,) = Conv._run(self, x, w, b, auto_pad or "NOTSET", dilations, group or 1, kernel_shape, pads, strides)
        if z is not None:
            y = y + z
        if activation:
            y = ACTIVATIONS[activation](y, *(activation_params or ()))
        return (np.asarray(y).astype(x.dtype),)
