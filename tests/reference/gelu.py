"""com.microsoft Gelu, BiasGelu, FastGelu and QuickGelu (ONNX Runtime, docs/ContribOperators.md), in float64 and rounded."""

from __future__ import annotations

import math

import numpy as np
from onnx.reference.op_run import OpRun


class Gelu(OpRun):
    """`Y = X / 2 * (1 + erf(X / sqrt 2))`."""

    op_domain = "com.microsoft"

    def _run(self, x, approximate=None):  # an attribute of ONNX's Gelu, which the evaluator takes this one for
        wide = np.asarray(x, np.float64)
        return (
            np.asarray(wide / 2 * (1 + np.vectorize(math.erf, otypes=[float])(wide / math.sqrt(2)))).astype(x.dtype),
        )


class FastGelu(OpRun):
    """`Y = X / 2 * (1 + tanh(sqrt(2 / pi) * (X + 0.044715 X^3)))` of `X + bias`."""

    op_domain = "com.microsoft"

    def _run(self, x, bias=None):
        wide = np.asarray(x, np.float64) + (0 if bias is None else bias)
        inner = np.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3))
        return (np.asarray(wide / 2 * (1 + inner)).astype(x.dtype),)


class BiasGelu(OpRun):
    """GELU by erf of `A + B`, B a vector of the length of A's last dim."""

    op_domain = "com.microsoft"

    def _run(self, a, b):
        if b.ndim != 1 or a.shape[-1] != b.shape[0]:
            raise ValueError(f"a bias of shape {b.shape} for {a.shape}")
        return Gelu._run(self, a + b)


class QuickGelu(OpRun):
    """`Y = X / (1 + exp(-alpha X))`."""

    op_domain = "com.microsoft"

    def _run(self, x, alpha=1.702):
        wide = np.asarray(x, np.float64)
        with np.errstate(over="ignore"):
            return (np.asarray(wide / (1 + np.exp(-(1.702 if alpha is None else alpha) * wide))).astype(x.dtype),)
