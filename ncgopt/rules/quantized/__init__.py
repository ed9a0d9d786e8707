"""Quantized models: integers with a scale and a zero point, and what computes on them."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules.quantized.eliminate_clip_before_quantize import EliminateClipBeforeQuantize
from ncgopt.rules.quantized.eliminate_dequantize_quantize import EliminateDequantizeQuantize
from ncgopt.rules.quantized.eliminate_quantization_around_movement import EliminateQuantizationAroundMovement
from ncgopt.rules.quantized.fuse_dequantized_matmul import FuseDequantizedMatmul
from ncgopt.rules.quantized.fuse_dynamic_quantize_matmul import FuseDynamicQuantizeMatmul
from ncgopt.rules.quantized.fuse_integer_matmul_bias import FuseIntegerMatmulBias
from ncgopt.rules.quantized.fuse_matmul_integer_to_float import FuseMatmulIntegerToFloat
from ncgopt.rules.quantized.fuse_qgemm import FuseQgemm
from ncgopt.rules.quantized.fuse_qlinear_activation import FuseQlinearActivation
from ncgopt.rules.quantized.fuse_qlinear_arithmetic import FuseQlinearArithmetic
from ncgopt.rules.quantized.fuse_qlinear_concat import FuseQlinearConcat
from ncgopt.rules.quantized.fuse_qlinear_conv import FuseQlinearConv
from ncgopt.rules.quantized.fuse_qlinear_matmul import FuseQlinearMatmul
from ncgopt.rules.quantized.fuse_qlinear_pool import FuseQlinearPool
from ncgopt.rules.quantized.fuse_qlinear_softmax import FuseQlinearSoftmax
from ncgopt.rules.quantized.fuse_qlinear_where import FuseQlinearWhere
from ncgopt.rules.quantized.replace_signed_quantization import ReplaceSignedQuantization

RULES: tuple[Rule[Any], ...] = (
    EliminateDequantizeQuantize(),
    EliminateClipBeforeQuantize(),
    # Before QLinearConcat: where all scales are the same, Concat is a standard operator and copies.
    EliminateQuantizationAroundMovement(),
    ReplaceSignedQuantization(),
    FuseQlinearConv(),
    FuseQlinearMatmul(),
    FuseQgemm(),
    FuseQlinearArithmetic(),
    FuseQlinearActivation(),
    FuseQlinearSoftmax(),
    FuseQlinearPool(),
    FuseQlinearConcat(),
    FuseQlinearWhere(),
    FuseDequantizedMatmul(),
    FuseMatmulIntegerToFloat(),
    FuseIntegerMatmulBias(),
    FuseDynamicQuantizeMatmul(),
)
