"""com.microsoft RotaryEmbedding (ONNX Runtime, docs/ContribOperators.md), in float64 and rounded."""

from __future__ import annotations

import numpy as np
from onnx.reference.op_run import OpRun


class RotaryEmbedding(OpRun):
    """Turns each head of `input` by the angles of its position; one position is an offset for the whole batch."""

    op_domain = "com.microsoft"

    def _run(self, x, positions, cos, sin, interleaved=None, num_heads=None, rotary_embedding_dim=None):
        if interleaved or num_heads or rotary_embedding_dim or x.ndim != 4:
            raise NotImplementedError("only [batch, heads, positions, size], by halves")
        rows = positions + np.arange(x.shape[2]) if positions.ndim == 1 else positions[:, np.newaxis]
        if rows.size and rows.max() >= len(cos):
            raise ValueError("a position lies outside the tables")
        c, s = (np.asarray(table[rows], np.float64) for table in (cos, sin))
        a, b = np.split(np.asarray(x, np.float64), 2, axis=-1)
        return (np.concatenate([a * c - b * s, b * c + a * s], axis=-1).astype(x.dtype),)
