"""Fold a BatchNormalization into the convolution before it."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.convolution import _batch_norm
from ncgopt.rules.convolution._batch_norm import Match


class FoldConvBatchNorm(Rule[Match]):
    """`BatchNormalization(Conv(x, W, b))` becomes `Conv(x, f W, f b + a)`.

    In inference BatchNormalization multiplies each channel by `f = scale / sqrt(var + epsilon)` and adds
    `a = bias - mean f`; a convolution is linear in its weights, padding included, because both act
    after the sum. Weights are computed in float64 and rounded once.
    """

    name = "fold-conv-batch-norm"
    claim = Claim.ROUNDS
    root = "BatchNormalization"
    since_opset = 7
    requires = _batch_norm.REQUIRES
    pays = _batch_norm.PAYS

    def match(self, node: ir.Node) -> Match | None:
        """Bind the Conv and the parameters of the normalization."""
        return _batch_norm.match(node, "Conv")

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value | None]:
        """One Conv."""
        return _batch_norm.build(tape, m)
