"""com.microsoft MultiHeadAttention (ONNX Runtime, docs/ContribOperators.md), without projections, padding and past."""

from __future__ import annotations

import numpy as np
from onnx.reference.op_run import OpRun


class MultiHeadAttention(OpRun):
    """`softmax(scale * Q K^T + attention_bias) V` per head.

    Queries are `(batch, length, heads * size)`; keys and values too, or `(batch, heads, length, size)`.
    """

    op_domain = "com.microsoft"

    def _run(
        self, query, key, value, bias=None, key_padding_mask=None, attention_bias=None,
        num_heads=None, scale=0.0, mask_filter_value=-10000.0, unidirectional=0,
    ):  # fmt: skip
        if bias is not None or key_padding_mask is not None or unidirectional:
            raise NotImplementedError("projection bias, padding mask and unidirectional attention")
        q, k, v = (_split(x, num_heads) for x in (query, key, value))
        scores = (q @ np.swapaxes(k, 2, 3)) * np.array(scale or 1 / np.sqrt(q.shape[3]), q.dtype)
        if attention_bias is not None:
            if attention_bias.ndim != 4 or attention_bias.shape[2:] != scores.shape[2:]:
                raise ValueError("attention_bias must be (batch or 1, heads or 1, length of queries, length of keys)")
            scores = scores + attention_bias
        weights = np.exp(scores - np.max(scores, axis=3, keepdims=True, initial=-np.inf))
        weights = weights / np.sum(weights, axis=3, keepdims=True)
        result = np.swapaxes(weights @ v, 1, 2)
        return (result.reshape(*query.shape[:2], v.shape[1] * v.shape[3]).astype(query.dtype),)


def _split(x: np.ndarray, heads: int) -> np.ndarray:
    if x.ndim == 4:
        return x
    batch, length, width = x.shape
    return np.swapaxes(x.reshape(batch, length, heads, width // heads), 1, 2)
