"""com.microsoft FusedGemm (ONNX Runtime, docs/ContribOperators.md): Gemm followed by an activation."""

from __future__ import annotations

import numpy as np
from onnx.reference.op_run import OpRun

# By the formulas of the standard operators of the same names; x, alpha, beta.
ACTIVATIONS = {
    "Relu": lambda x, a, b: np.maximum(x, 0),
    "Tanh": lambda x, a, b: np.tanh(x),
    "Sigmoid": lambda x, a, b: 1 / (1 + np.exp(-x)),
    "Softplus": lambda x, a, b: np.logaddexp(x, 0),
    "LeakyRelu": lambda x, a, b: np.where(x < 0, a * x, x),
    "Elu": lambda x, a, b: np.where(x < 0, a * np.expm1(np.minimum(x, 0)), x),
    "HardSigmoid": lambda x, a, b: np.clip(a * x + b, 0, 1),
    "ThresholdedRelu": lambda x, a, b: np.where(x > a, x, 0),
}


class FusedGemm(OpRun):
    """`Y = activation(alpha * A' @ B' + beta * C)`."""

    op_domain = "com.microsoft"

    def _run(
        self, a, b, c=None, activation=None, activation_alpha=0.0, activation_beta=0.0, activation_gamma=0.0,
        alpha=1.0, beta=1.0, transA=0, transB=0,  # noqa: N803
    ):  # fmt: skip
        left, right = (a.T if transA else a), (b.T if transB else b)
        y = np.asarray(left @ right) * np.array(alpha, a.dtype)
        if c is not None:
            y = y + np.array(beta, a.dtype) * c
        return (
            np.asarray(ACTIVATIONS[activation](y.astype(a.dtype), activation_alpha, activation_beta)).astype(a.dtype),
        )
