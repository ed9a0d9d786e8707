"""LRN (opset 1 and 13), from its specification: onnx's reference normalizes only as many channels as there are batches."""

from __future__ import annotations

import numpy as np
from onnx.reference.op_run import OpRun


class LRN(OpRun):
    """`x / (bias + alpha / size * sum of squares of the channels around) ** beta`."""

    def _run(self, x, alpha=None, beta=None, bias=None, size=None):
        square = x.astype(np.float64) ** 2
        total = np.zeros_like(square)
        for channel in range(x.shape[1]):
            first, last = max(0, channel - (size - 1) // 2), min(x.shape[1] - 1, channel + size // 2)
            total[:, channel] = square[:, first : last + 1].sum(axis=1)
        return ((x / (bias + alpha / size * total) ** beta).astype(x.dtype),)
