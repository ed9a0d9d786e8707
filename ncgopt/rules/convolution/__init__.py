"""Convolutions and what can be folded into their weights."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules.convolution.fold_conv_add import FoldConvAdd
from ncgopt.rules.convolution.fold_conv_batch_norm import FoldConvBatchNorm
from ncgopt.rules.convolution.fold_conv_mul import FoldConvMul
from ncgopt.rules.convolution.fold_conv_transpose_batch_norm import FoldConvTransposeBatchNorm
from ncgopt.rules.convolution.fold_gather_into_conv import FoldGatherIntoConv
from ncgopt.rules.convolution.fold_pad_into_conv import FoldPadIntoConv
from ncgopt.rules.convolution.fuse_conv_activation import FuseConvActivation
from ncgopt.rules.convolution.fuse_conv_hard_swish import FuseConvHardSwish

RULES: tuple[Rule[Any], ...] = (
    FoldGatherIntoConv(),
    FoldPadIntoConv(),
    FoldConvBatchNorm(),
    FoldConvTransposeBatchNorm(),
    FoldConvMul(),
    FoldConvAdd(),
    FuseConvActivation(),
    FuseConvHardSwish(),
)
