"""Quantized models: integers with a scale and a zero point, and what computes on them."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules.quantized.fuse_dynamic_quantize_matmul import FuseDynamicQuantizeMatmul
from ncgopt.rules.quantized.fuse_integer_matmul_bias import FuseIntegerMatmulBias
from ncgopt.rules.quantized.fuse_matmul_integer_to_float import FuseMatmulIntegerToFloat

RULES: tuple[Rule[Any], ...] = (
    FuseMatmulIntegerToFloat(),
    FuseIntegerMatmulBias(),
    FuseDynamicQuantizeMatmul(),
)
