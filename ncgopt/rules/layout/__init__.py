"""The order of axes: Transposes that meet, pass an operator, or go."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules.layout.eliminate_opposite_transposes import EliminateOppositeTransposes
from ncgopt.rules.layout.eliminate_transpose_before_gather import EliminateTransposeBeforeGather
from ncgopt.rules.layout.fold_transpose_into_one_hot import FoldTransposeIntoOneHot
from ncgopt.rules.layout.fuse_slices_into_space_to_depth import FuseSlicesIntoSpaceToDepth
from ncgopt.rules.layout.merge_transposes import MergeTransposes
from ncgopt.rules.layout.reorder_matmul_transpose import ReorderMatmulTranspose
from ncgopt.rules.layout.reorder_softmax_transpose import ReorderSoftmaxTranspose

RULES: tuple[Rule[Any], ...] = (
    EliminateTransposeBeforeGather(),
    FoldTransposeIntoOneHot(),
    FuseSlicesIntoSpaceToDepth(),
    ReorderMatmulTranspose(),
    EliminateOppositeTransposes(),
    MergeTransposes(),
    ReorderSoftmaxTranspose(),
)
