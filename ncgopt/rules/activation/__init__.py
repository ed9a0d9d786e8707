"""Activation functions: what does nothing goes, what is written in pieces becomes one operator."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules.activation.eliminate_nan_guard import EliminateNanGuard
from ncgopt.rules.activation.eliminate_noop_clip import EliminateNoopClip
from ncgopt.rules.activation.eliminate_noop_relu import EliminateNoopRelu
from ncgopt.rules.activation.eliminate_relu_by_range import EliminateReluByRange
from ncgopt.rules.activation.fuse_clips import FuseClips
from ncgopt.rules.activation.fuse_gelu import FuseGelu
from ncgopt.rules.activation.fuse_gelu_bias import FuseGeluBias
from ncgopt.rules.activation.fuse_gelu_for_onnxruntime import FuseGeluForOnnxruntime
from ncgopt.rules.activation.fuse_hard_sigmoid import FuseHardSigmoid
from ncgopt.rules.activation.fuse_hard_swish_into_hard_sigmoid import FuseHardSwishIntoHardSigmoid
from ncgopt.rules.activation.fuse_leaky_relu import FuseLeakyRelu
from ncgopt.rules.activation.fuse_log_softmax import FuseLogSoftmax
from ncgopt.rules.activation.fuse_mish import FuseMish
from ncgopt.rules.activation.fuse_quick_gelu import FuseQuickGelu
from ncgopt.rules.activation.fuse_relu_clip import FuseReluClip
from ncgopt.rules.activation.fuse_sigmoid import FuseSigmoid
from ncgopt.rules.activation.fuse_silu import FuseSilu
from ncgopt.rules.activation.fuse_softmax import FuseSoftmax
from ncgopt.rules.activation.reorder_activation_after_max_pool import ReorderActivationAfterMaxPool
from ncgopt.rules.activation.replace_prelu import ReplacePrelu

# Removing comes before fusing: what does nothing should go, not be merged into a neighbour.
RULES: tuple[Rule[Any], ...] = (
    EliminateNanGuard(),
    EliminateNoopRelu(),
    EliminateNoopClip(),
    FuseClips(),
    FuseReluClip(),
    FuseGeluForOnnxruntime(),  # before FuseGelu: where the target allows it, its FastGelu is faster
    FuseGelu(),
    FuseHardSigmoid(),
    FuseHardSwishIntoHardSigmoid(),
    FuseSoftmax(),
    FuseLogSoftmax(),
    FuseMish(),
    FuseLeakyRelu(),
    FuseSigmoid(),
    FuseSilu(),
    FuseGeluBias(),
    FuseQuickGelu(),
    ReplacePrelu(),
    EliminateReluByRange(),
    ReorderActivationAfterMaxPool(),
)
