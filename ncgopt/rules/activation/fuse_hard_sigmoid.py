"""Fuse a clipped straight line into HardSigmoid."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.activation import _hard_sigmoid
from ncgopt.rules.activation._hard_sigmoid import Match


class FuseHardSigmoid(Rule[Match]):
    """`Clip(x + 3, 0, 6) / 6` becomes `HardSigmoid(x, alpha=1/6, beta=1/2)`; any line and height will do.

    ONNX Runtime computes HardSigmoid in one go, and within a convolution where one comes before. The
    factor must undo the height to within the precision of the element type.
    """

    name = "fuse-hard-sigmoid"
    claim = Claim.ROUNDS
    root = ("Div", "Mul", "Clip")
    since_opset = 7
    requires = _hard_sigmoid.REQUIRES
    pays = _hard_sigmoid.PAYS

    def match(self, node: ir.Node) -> Match | None:
        """Bind x, the slope and the offset."""
        return _hard_sigmoid.match(node, times_x=False)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One HardSigmoid."""
        return [_hard_sigmoid.build(tape, m)]
