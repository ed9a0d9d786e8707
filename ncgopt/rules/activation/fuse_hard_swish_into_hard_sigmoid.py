"""Turn a HardSwish written in pieces into a product with HardSigmoid."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.activation import _hard_sigmoid
from ncgopt.rules.activation._hard_sigmoid import Match


class FuseHardSwishIntoHardSigmoid(Rule[Match]):
    """`x * Clip(x + 3, 0, 6) / 6` becomes `x * HardSigmoid(x, alpha=1/6, beta=1/2)`, factors in any order.

    The operator HardSwish (opset 14) would be the same thing: ONNX Runtime expands it into these two.
    Where `x` is multiplied last, `fuse-hard-sigmoid` has already done it.
    """

    name = "fuse-hard-swish-into-hard-sigmoid"
    claim = Claim.ROUNDS
    root = ("Div", "Mul")
    since_opset = 7
    requires = _hard_sigmoid.REQUIRES
    pays = _hard_sigmoid.PAYS

    def match(self, node: ir.Node) -> Match | None:
        """Bind x, the slope and the offset."""
        return _hard_sigmoid.match(node, times_x=True)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One HardSigmoid and one Mul."""
        return [tape.op("Mul", [m.x, _hard_sigmoid.build(tape, m)])]
