"""Products of quantized tensors: which types the kernels multiply, and what they take for a bias."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.rewrite import Pays, Requires
from ncgopt.rules.quantized._sites import EIGHT_BITS, Dequantized, Site

# Of a product's scale; what float32 loses when the exporter multiplies the scales of both sides.
_TOLERANCE = 2.0**-22


def multiplies(left: ir.DataType | None, right: ir.DataType | None) -> bool:
    """Whether ONNX Runtime has a kernel: unsigned with either, signed with signed only."""
    return right in EIGHT_BITS and (left == ir.DataType.UINT8 or (left == right == ir.DataType.INT8))


def bias_fits(m: Site, factor: float = 1.0) -> bool:
    """Whether the bias, if there is one, counts in units of the product: the kernels add it as it is.

    The scales of both sides and of the bias must be constants, the bias int32 without a zero point,
    and its scale `factor` times the product of theirs.
    """
    if len(m.inputs) < 3:
        return True
    a, b, bias = m.inputs[:3]
    scales = [facts.constant(x.by.scale) for x in (a, b, bias)]
    zero = bias.by.zero
    if bias.by.dtype != ir.DataType.INT32 or zero is None or zero.any():
        return False
    left, right, own = (None if s is None else s.astype(np.float64).reshape(-1) for s in scales)
    if left is None or right is None or own is None or own.size not in (1, right.size):
        return False
    expected = factor * left * right
    return bool((np.abs(own - expected) <= _TOLERANCE * np.abs(expected)).all())


def uniform_zero(x: Dequantized) -> bool:
    """Whether all zero points are the same known number."""
    zero = x.by.zero
    return zero is not None and zero.size > 0 and bool((zero == zero.reshape(-1)[0]).all())


PRODUCT_TYPES = Requires[Site](
    "multiplied-types",
    "there are kernels for some pairs of 8-bit types only",
    lambda m: m.inputs[0].by.dtype == m.out.dtype and multiplies(m.inputs[0].by.dtype, m.inputs[1].by.dtype),
)
SINGLE_SIDES = Requires[Site](
    "per-tensor",
    "the kernels take one scale for x and one for y",
    lambda m: m.inputs[0].by.is_single and m.out.is_single,
)
BIAS_SCALE = Requires[Site]("bias-scale", "the kernel adds the bias to the sum of products as it is", bias_fits)
UNSIGNED = Pays[Site](
    "unsigned-input",
    "on x86, the kernels for signed inputs are slower than floats (see replace-signed-quantization)",
    lambda m: m.out.dtype == ir.DataType.UINT8,
)
