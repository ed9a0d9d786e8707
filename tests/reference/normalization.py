"""The normalizations that ONNX Runtime keeps in the default domain (contrib_defs.cc), in float64 and rounded."""

from __future__ import annotations

import numpy as np
from onnx.reference.op_run import OpRun


class LayerNormalization(OpRun):
    """`Y = (X - mean) / sqrt(variance + epsilon) * Scale + B` over the axes from `axis` on; at every opset."""

    op_domain = ""

    def _run(self, x, scale, bias=None, axis=-1, epsilon=1e-5, stash_type=1):
        wide = np.asarray(x, np.float64)
        axes = tuple(range(axis % x.ndim, x.ndim))
        centered = wide - wide.mean(axis=axes, keepdims=True)
        y = centered / np.sqrt((centered**2).mean(axis=axes, keepdims=True) + epsilon) * scale.astype(np.float64)
        return (np.asarray(y if bias is None else y + bias.astype(np.float64)).astype(x.dtype),)


class SimplifiedLayerNormalization(OpRun):
    """`Y = X / sqrt(mean(X^2) + epsilon) * scale` over the axes from `axis` on."""

    op_domain = ""

    def _run(self, x, scale, axis=-1, epsilon=1e-5, stash_type=1):
        wide = np.asarray(x, np.float64)
        axes = tuple(range(axis % x.ndim, x.ndim))
        y = wide / np.sqrt((wide**2).mean(axis=axes, keepdims=True) + epsilon) * scale.astype(np.float64)
        return (np.asarray(y).astype(x.dtype),)


class SkipLayerNormalization(OpRun):
    """com.microsoft (docs/ContribOperators.md): LayerNormalization of `X + skip` over the last of three axes."""

    op_domain = "com.microsoft"

    def _run(self, x, skip, gamma, beta=None, bias=None, epsilon=1e-12):
        return LayerNormalization._run(self, _sum(x, skip, bias), gamma, beta, epsilon=epsilon)


class SkipSimplifiedLayerNormalization(OpRun):
    """com.microsoft (docs/ContribOperators.md): SimplifiedLayerNormalization of `X + skip` over the last of three axes."""

    op_domain = "com.microsoft"

    def _run(self, x, skip, gamma, bias=None, epsilon=1e-12):
        return SimplifiedLayerNormalization._run(self, _sum(x, skip, bias), gamma, epsilon=epsilon)


def _sum(x, skip, bias):
    if x.ndim != 3 or x.shape != skip.shape:
        raise ValueError(f"{x.shape} and {skip.shape}")
    return x + skip if bias is None else x + skip + bias
