"""com.microsoft Gelu and FastGelu (ONNX Runtime, docs/ContribOperators.md), in float64 and rounded."""

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
