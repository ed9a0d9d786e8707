"""BatchNormalization, LayerNormalization and Dropout at inference."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules.normalization.eliminate_dropout import EliminateDropout
from ncgopt.rules.normalization.fuse_batch_norm_mul_add import FuseBatchNormMulAdd
from ncgopt.rules.normalization.fuse_layer_normalization import FuseLayerNormalization
from ncgopt.rules.normalization.fuse_layer_normalization_affine import FuseLayerNormalizationAffine
from ncgopt.rules.normalization.fuse_rms_normalization import FuseRmsNormalization

RULES: tuple[Rule[Any], ...] = (
    EliminateDropout(),
    FuseBatchNormMulAdd(),
    FuseLayerNormalizationAffine(),
    FuseLayerNormalization(),  # before FuseRmsNormalization, which would take its centered x for any other
    FuseRmsNormalization(),
)
