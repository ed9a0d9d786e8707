"""Operators that move or rename data without computing: Reshape, Transpose, Cast, Slice ..."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules.shape.eliminate_expand_before_broadcast import EliminateExpandBeforeBroadcast
from ncgopt.rules.shape.eliminate_identity import EliminateIdentity
from ncgopt.rules.shape.eliminate_noop_cast import EliminateNoopCast
from ncgopt.rules.shape.eliminate_noop_concat import EliminateNoopConcat
from ncgopt.rules.shape.eliminate_noop_expand import EliminateNoopExpand
from ncgopt.rules.shape.eliminate_noop_flatten import EliminateNoopFlatten
from ncgopt.rules.shape.eliminate_noop_pad import EliminateNoopPad
from ncgopt.rules.shape.eliminate_noop_reduce import EliminateNoopReduce
from ncgopt.rules.shape.eliminate_noop_reshape import EliminateNoopReshape
from ncgopt.rules.shape.eliminate_noop_resize import EliminateNoopResize
from ncgopt.rules.shape.eliminate_noop_slice import EliminateNoopSlice
from ncgopt.rules.shape.eliminate_noop_split import EliminateNoopSplit
from ncgopt.rules.shape.eliminate_noop_tile import EliminateNoopTile
from ncgopt.rules.shape.eliminate_noop_transpose import EliminateNoopTranspose
from ncgopt.rules.shape.eliminate_split_concat import EliminateSplitConcat
from ncgopt.rules.shape.eliminate_squeeze_unsqueeze import EliminateSqueezeUnsqueeze
from ncgopt.rules.shape.eliminate_unsqueeze_squeeze import EliminateUnsqueezeSqueeze
from ncgopt.rules.shape.eliminate_where_constant import EliminateWhereConstant
from ncgopt.rules.shape.fold_reshape_target import FoldReshapeTarget
from ncgopt.rules.shape.fold_shape import FoldShape
from ncgopt.rules.shape.fold_shape_element import FoldShapeElement
from ncgopt.rules.shape.fold_squeeze_into_reduce import FoldSqueezeIntoReduce
from ncgopt.rules.shape.fuse_casts import FuseCasts
from ncgopt.rules.shape.fuse_concats import FuseConcats
from ncgopt.rules.shape.fuse_gather_squeeze import FuseGatherSqueeze
from ncgopt.rules.shape.fuse_gather_unsqueeze import FuseGatherUnsqueeze
from ncgopt.rules.shape.fuse_into_reshape import FuseIntoReshape
from ncgopt.rules.shape.fuse_reshapes import FuseReshapes
from ncgopt.rules.shape.fuse_slices import FuseSlices
from ncgopt.rules.shape.fuse_squeezes import FuseSqueezes
from ncgopt.rules.shape.fuse_transposes import FuseTransposes
from ncgopt.rules.shape.fuse_unsqueezes import FuseUnsqueezes
from ncgopt.rules.shape.reorder_expand import ReorderExpand
from ncgopt.rules.shape.replace_cast_like import ReplaceCastLike
from ncgopt.rules.shape.replace_range_vectors import ReplaceRangeVectors
from ncgopt.rules.shape.replace_scatter_elements import ReplaceScatterElements
from ncgopt.rules.shape.replace_split_to_sequence import ReplaceSplitToSequence

# Removing comes before fusing: what does nothing should go, not be merged into a neighbour.
RULES: tuple[Rule[Any], ...] = (
    EliminateIdentity(),
    ReplaceCastLike(),
    ReplaceRangeVectors(),
    ReplaceSplitToSequence(),
    EliminateNoopCast(),
    EliminateNoopTranspose(),
    EliminateNoopReshape(),
    FoldReshapeTarget(),
    EliminateNoopFlatten(),
    FoldShape(),
    FoldShapeElement(),  # before the Slice rules: a constant serves better than a shorter way to it
    EliminateNoopSlice(),
    EliminateNoopExpand(),
    EliminateNoopTile(),
    EliminateNoopPad(),
    EliminateNoopConcat(),
    EliminateNoopSplit(),
    EliminateNoopResize(),
    EliminateNoopReduce(),
    EliminateWhereConstant(),
    EliminateSplitConcat(),
    EliminateUnsqueezeSqueeze(),
    EliminateSqueezeUnsqueeze(),
    EliminateExpandBeforeBroadcast(),
    FuseCasts(),
    FuseTransposes(),
    FuseReshapes(),
    FuseSqueezes(),
    FuseUnsqueezes(),
    FuseGatherUnsqueeze(),
    FuseGatherSqueeze(),
    FoldSqueezeIntoReduce(),
    FuseIntoReshape(),  # after the rules that need no Reshape
    FuseSlices(),
    FuseConcats(),
    ReplaceScatterElements(),
    ReorderExpand(),
)
