"""Fold a BatchNormalization into the transposed convolution before it."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.convolution import _batch_norm
from ncgopt.rules.convolution._batch_norm import Match


class FoldConvTransposeBatchNorm(Rule[Match]):
    """`BatchNormalization(ConvTranspose(x, W, b))` becomes `ConvTranspose(x, f W, f b + a)`.

    As `fold-conv-batch-norm`. Output elements that no input reaches (`output_padding`) hold the bias
    alone, and get the new one.
    """

    name = "fold-conv-transpose-batch-norm"
    claim = Claim.ROUNDS
    root = "BatchNormalization"
    since_opset = 7
    requires = _batch_norm.REQUIRES
    pays = _batch_norm.PAYS

    def match(self, node: ir.Node) -> Match | None:
        """Bind the ConvTranspose and the parameters of the normalization."""
        return _batch_norm.match(node, "ConvTranspose")

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value | None]:
        """One ConvTranspose."""
        return _batch_norm.build(tape, m)
