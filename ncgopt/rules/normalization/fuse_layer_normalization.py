"""Fuse a layer normalization written in pieces into the operator."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.normalization import _moments, _statistics
from ncgopt.rules.normalization._statistics import Match


class FuseLayerNormalization(Rule[Match]):
    """`(x - mean) / sqrt(mean((x - mean)^2) + epsilon)` becomes `LayerNormalization(x, 1)`.

    The means are over the last axes. The square may be a Pow or a Mul, the difference may be computed
    twice, the division may be a multiplication by a reciprocal or by a power of -0.5. A scale and a
    bias that follow are taken in by `fuse-layer-normalization-affine`. Not in float64: the operator
    may compute the statistics in float32 (attribute `stash_type`).
    """

    name = "fuse-layer-normalization"
    claim = Claim.ROUNDS
    root = ("Div", "Mul")
    since_opset = 17
    requires = _statistics.REQUIRES
    pays = _statistics.PAYS

    def match(self, node: ir.Node) -> Match | None:
        """Bind what is normalized."""
        return _moments.centered(node)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One LayerNormalization with a scale of one."""
        return [_statistics.build(tape, m, "LayerNormalization")]
