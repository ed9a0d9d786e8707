"""Every whole-graph pass."""

from ncgopt.passes.base import Pass
from ncgopt.passes.drop_dead_nodes import DropDeadNodes
from ncgopt.passes.fold_constants import FoldConstants
from ncgopt.passes.fuse_slices_into_split import FuseSlicesIntoSplit
from ncgopt.passes.inline_branches import InlineBranches
from ncgopt.passes.inline_functions import InlineFunctions
from ncgopt.passes.lift_constants import LiftConstants
from ncgopt.passes.order_for_memory import OrderForMemory
from ncgopt.passes.prune_weights import PruneWeights
from ncgopt.passes.share_initializers import ShareInitializers
from ncgopt.passes.share_sizes import ShareSizes
from ncgopt.passes.share_subexpressions import ShareSubexpressions
from ncgopt.passes.share_transposed_initializers import ShareTransposedInitializers
from ncgopt.passes.simplify import Simplify
from ncgopt.passes.sink_initializers import SinkInitializers
from ncgopt.passes.split_for_memory import SplitForMemory
from ncgopt.passes.unroll_loops import UnrollLoops

PASSES: tuple[type[Pass], ...] = (
    PruneWeights,
    Simplify,
    InlineFunctions,
    LiftConstants,
    DropDeadNodes,
    InlineBranches,
    UnrollLoops,
    ShareSizes,
    FoldConstants,
    ShareSubexpressions,
    ShareInitializers,
    ShareTransposedInitializers,
    SinkInitializers,
    FuseSlicesIntoSplit,
    SplitForMemory,
    OrderForMemory,
)

__all__ = ["PASSES", "Pass"]
