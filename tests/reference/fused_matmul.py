"""com.microsoft FusedMatMul (ONNX Runtime, docs/ContribOperators.md): MatMul with a factor and transposed operands."""

from __future__ import annotations

import numpy as np
from onnx.reference.op_run import OpRun


class FusedMatMul(OpRun):
    """`Y = alpha * A' @ B'`; the last two dims of an operand change places where its flag is set."""

    op_domain = "com.microsoft"

    def _run(self, a, b, alpha=1.0, transA=0, transB=0, transBatchA=0, transBatchB=0):  # noqa: N803
        if transBatchA or transBatchB:
            raise NotImplementedError("batch dims are never transposed")
        left = np.swapaxes(a, -1, -2) if transA else a
        right = np.swapaxes(b, -1, -2) if transB else b
        return (
            np.asarray(np.matmul(left, right) * np.array(1.0 if alpha is None else alpha, a.dtype)).astype(a.dtype),
        )
