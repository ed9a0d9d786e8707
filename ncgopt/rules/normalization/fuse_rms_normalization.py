"""Fuse a root mean square normalization written in pieces into the operator."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.normalization import _moments, _statistics
from ncgopt.rules.normalization._statistics import Match


class FuseRmsNormalization(Rule[Match]):
    """`x / sqrt(mean(x^2) + epsilon)` becomes `RMSNormalization(x, 1)`.

    The mean is over the last axes; the forms of the square and the division are those of
    `fuse-layer-normalization`. A scale that follows is taken in by `fuse-layer-normalization-affine`.
    """

    name = "fuse-rms-normalization"
    claim = Claim.ROUNDS
    root = ("Div", "Mul")
    since_opset = 23
    requires = _statistics.REQUIRES
    pays = _statistics.PAYS

    def match(self, node: ir.Node) -> Match | None:
        """Bind what is normalized."""
        return _moments.not_centered(node)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One RMSNormalization with a scale of one."""
        return [_statistics.build(tape, m, "RMSNormalization")]
