"""QuantizeLinear with large numbers, which onnx's reference implementation (1.23) wraps around.

It converts to int32 before it cuts off; the specification saturates.
"""

from __future__ import annotations

import numpy as np
from onnx.reference.ops._quant_utils import reshape_input
from onnx.reference.ops.op_quantize_linear import _CommonQuantizeLinear


class QuantizeLinear(_CommonQuantizeLinear):
    """Nothing goes beyond 2^24 steps, which lie outside of every integer type that it quantizes to.

    NaN becomes the smallest integer, as ONNX Runtime has it; the specification leaves it open.
    """

    op_domain = ""

    def _run(self, x, scale, zero_point=None, axis=1, block_size=None, **attributes):
        steps = np.abs(reshape_input(scale, x.shape, axis, block_size)).astype(np.float64)
        if zero_point is None or zero_point.dtype.kind in "iu":
            limit = np.minimum(steps * (1 << 24), np.finfo(np.float32).max)
            x = np.clip(np.where(np.isnan(x), -limit, x), -limit, limit).astype(x.dtype)
        return super()._run(x, scale, zero_point, axis=axis, block_size=block_size, **attributes)
