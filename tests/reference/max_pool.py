"""MaxPool without indices, from its specification: onnx's reference cannot pad one axis alone."""

from __future__ import annotations

import itertools

import numpy as np
from onnx.reference.ops.op_max_pool import MaxPool as _MaxPool


class MaxPool(_MaxPool):
    """The largest of each window; what lies outside never is. Other forms are left to onnx's reference."""

    def _run(self, x, **attributes):
        explicit = attributes.get("auto_pad") in (None, "NOTSET", b"NOTSET")
        if not explicit or attributes.get("ceil_mode") or len(self.output) > 1:
            return super()._run(x, **attributes)
        kernel = attributes["kernel_shape"]
        rank = len(kernel)
        strides, dilations = (attributes.get(name) or [1] * rank for name in ("strides", "dilations"))
        pads = attributes.get("pads") or [0] * (2 * rank)
        lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        widths = [(0, 0), (0, 0), *zip(pads[:rank], pads[rank:], strict=True)]
        padded = np.pad(x, widths, constant_values=lowest)
        counts = [(padded.shape[k + 2] - dilations[k] * (kernel[k] - 1) - 1) // strides[k] + 1 for k in range(rank)]
        result = np.full((*x.shape[:2], *counts), lowest, x.dtype)
        for taps in itertools.product(*map(range, kernel)):
            starts = [tap * d for tap, d in zip(taps, dilations, strict=True)]
            window = [slice(s, s + c * t, t) for s, c, t in zip(starts, counts, strides, strict=True)]
            result = np.maximum(result, padded[(slice(None), slice(None), *window)])
        return (result,)
