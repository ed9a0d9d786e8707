"""BatchNormalization, LayerNormalization and Dropout at inference."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules.normalization.eliminate_dropout import EliminateDropout
from ncgopt.rules.normalization.fuse_batch_norm_mul_add import FuseBatchNormMulAdd
from ncgopt.rules.normalization.fuse_layer_normalization import FuseLayerNormalization
from ncgopt.rules.normalization.fuse_layer_normalization_affine import FuseLayerNormalizationAffine
from ncgopt.rules.normalization.fuse_layer_normalization_for_onnxruntime import FuseLayerNormalizationForOnnxruntime
from ncgopt.rules.normalization.fuse_rms_normalization import FuseRmsNormalization
from ncgopt.rules.normalization.fuse_simplified_layer_normalization import FuseSimplifiedLayerNormalization
from ncgopt.rules.normalization.fuse_skip_layer_normalization import FuseSkipLayerNormalization
from ncgopt.rules.normalization.fuse_skip_simplified_layer_normalization import FuseSkipSimplifiedLayerNormalization
from ncgopt.rules.normalization.replace_add_before_normalization import ReplaceAddBeforeNormalization

RULES: tuple[Rule[Any], ...] = (
    EliminateDropout(),
    FuseBatchNormMulAdd(),
    FuseLayerNormalizationAffine(),
    # Before the other two, which would take its centered x for any other.
    FuseLayerNormalization(),
    FuseLayerNormalizationForOnnxruntime(),
    FuseRmsNormalization(),
    FuseSimplifiedLayerNormalization(),
    FuseSkipLayerNormalization(),
    FuseSkipSimplifiedLayerNormalization(),
    ReplaceAddBeforeNormalization(),
)
