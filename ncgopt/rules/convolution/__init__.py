"""Convolutions and what can be folded into their weights."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules.convolution.fold_affine_into_next_conv import FoldAffineIntoNextConv
from ncgopt.rules.convolution.fold_channel_shuffle_into_conv import FoldChannelShuffleIntoConv
from ncgopt.rules.convolution.fold_conv_add import FoldConvAdd
from ncgopt.rules.convolution.fold_conv_batch_norm import FoldConvBatchNorm
from ncgopt.rules.convolution.fold_conv_mul import FoldConvMul
from ncgopt.rules.convolution.fold_conv_transpose_batch_norm import FoldConvTransposeBatchNorm
from ncgopt.rules.convolution.fold_gather_into_conv import FoldGatherIntoConv
from ncgopt.rules.convolution.fold_pad_into_conv import FoldPadIntoConv
from ncgopt.rules.convolution.fold_pad_into_pool import FoldPadIntoPool
from ncgopt.rules.convolution.fold_slice_into_conv import FoldSliceIntoConv
from ncgopt.rules.convolution.fold_slice_into_conv_strides import FoldSliceIntoConvStrides
from ncgopt.rules.convolution.fuse_affine_into_batch_norm import FuseAffineIntoBatchNorm
from ncgopt.rules.convolution.fuse_conv_activation import FuseConvActivation
from ncgopt.rules.convolution.fuse_conv_hard_swish import FuseConvHardSwish
from ncgopt.rules.convolution.fuse_max_pool_pyramid import FuseMaxPoolPyramid
from ncgopt.rules.convolution.merge_parallel_convolutions import MergeParallelConvolutions
from ncgopt.rules.convolution.merge_pointwise_conv import MergePointwiseConv
from ncgopt.rules.convolution.reorder_conv_average_pool import ReorderConvAveragePool
from ncgopt.rules.convolution.reorder_conv_concat import ReorderConvConcat
from ncgopt.rules.convolution.reorder_conv_resize import ReorderConvResize
from ncgopt.rules.convolution.replace_conv_of_upsampled import ReplaceConvOfUpsampled
from ncgopt.rules.convolution.replace_few_channel_conv import ReplaceFewChannelConv
from ncgopt.rules.convolution.replace_lrn import ReplaceLrn
from ncgopt.rules.convolution.replace_small_conv_1d import ReplaceSmallConv1d
from ncgopt.rules.convolution.split_max_pool import SplitMaxPool

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
    MergePointwiseConv(),
    MergeParallelConvolutions(),
    ReorderConvAveragePool(),
    FuseMaxPoolPyramid(),  # before the large one is taken apart
    SplitMaxPool(),
    FoldPadIntoPool(),
    ReplaceLrn(),
    FoldSliceIntoConv(),
    FoldSliceIntoConvStrides(),
    ReorderConvConcat(),
    ReorderConvResize(),
    ReplaceConvOfUpsampled(),
    ReplaceFewChannelConv(),
    FoldChannelShuffleIntoConv(),
)
