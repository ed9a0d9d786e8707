"""Dense layers: MatMul and Gemm."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules.linear.fold_gather_matmul import FoldGatherMatmul
from ncgopt.rules.linear.fold_gemm_batch_norm import FoldGemmBatchNorm
from ncgopt.rules.linear.fold_matmul_scale import FoldMatmulScale
from ncgopt.rules.linear.fold_slice_into_matmul import FoldSliceIntoMatmul
from ncgopt.rules.linear.fold_transpose_into_gemm import FoldTransposeIntoGemm
from ncgopt.rules.linear.fuse_gemm_activation import FuseGemmActivation
from ncgopt.rules.linear.fuse_gemm_relu import FuseGemmRelu
from ncgopt.rules.linear.fuse_matmul_add import FuseMatmulAdd
from ncgopt.rules.linear.fuse_matmul_operand_scale import FuseMatmulOperandScale
from ncgopt.rules.linear.fuse_matmul_scale import FuseMatmulScale
from ncgopt.rules.linear.fuse_matmul_transpose import FuseMatmulTranspose
from ncgopt.rules.linear.merge_linear_layers import MergeLinearLayers
from ncgopt.rules.linear.merge_parallel_products import MergeParallelProducts
from ncgopt.rules.linear.reorder_matmul_chain import ReorderMatmulChain
from ncgopt.rules.linear.reorder_row_selection import ReorderRowSelection
from ncgopt.rules.linear.reorder_scale_before_moves import ReorderScaleBeforeMoves
from ncgopt.rules.linear.replace_einsum import ReplaceEinsum
from ncgopt.rules.linear.replace_one_hot_matmul import ReplaceOneHotMatmul

RULES: tuple[Rule[Any], ...] = (
    MergeParallelProducts(),  # before an addition goes into a Gemm as its bias
    FoldTransposeIntoGemm(),
    MergeLinearLayers(),
    FuseMatmulAdd(),
    FoldMatmulScale(),
    ReorderScaleBeforeMoves(),
    FoldGemmBatchNorm(),
    FuseGemmRelu(),
    FuseGemmActivation(),
    FuseMatmulTranspose(),
    FuseMatmulOperandScale(),
    FuseMatmulScale(),
    ReplaceOneHotMatmul(),
    FoldGatherMatmul(),
    ReorderMatmulChain(),
    FoldSliceIntoMatmul(),
    ReorderRowSelection(),
    ReplaceEinsum(),
)
