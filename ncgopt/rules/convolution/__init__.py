"""Convolutions and what can be folded into their weights."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules.convolution.fold_affine_into_next_conv import FoldAffineIntoNextConv
from ncgopt.rules.convolution.fold_conv_add import FoldConvAdd
from ncgopt.rules.convolution.fold_conv_batch_norm import FoldConvBatchNorm
from ncgopt.rules.convolution.fold_conv_mul import FoldConvMul
from ncgopt.rules.convolution.fold_conv_transpose_batch_norm import FoldConvTransposeBatchNorm
from ncgopt.rules.convolution.fold_gather_into_conv import FoldGatherIntoConv
from ncgopt.rules.convolution.fold_pad_into_conv import FoldPadIntoConv
from ncgopt.rules.convolution.fuse_affine_into_batch_norm import FuseAffineIntoBatchNorm
from ncgopt.rules.convolution.fuse_conv_activation import FuseConvActivation
from ncgopt.rules.convolution.fuse_conv_hard_swish import FuseConvHardSwish
from ncgopt.rules.convolution.replace_small_conv_1d import ReplaceSmallConv1d

RULES: tuple[Rule[Any], ...] = (
    FoldGatherIntoConv(),
    FoldPadIntoConv(),
    FoldConvBatchNorm(),
    FoldConvTransposeBatchNorm(),
    FoldConvMul(),
    FoldConvAdd(),
    FuseConvActivation(),
    FuseConvHardSwish(),
    FoldAffineIntoNextConv(),
    FuseAffineIntoBatchNorm(),
    ReplaceSmallConv1d(),
)
