"""Turn a SiLU (swish) written as a quotient into a product with Sigmoid."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.activation import _logistic
from ncgopt.rules.activation._logistic import Match


class FuseSilu(Rule[Match]):
    """`x / (1 + exp(-x))` becomes `x * Sigmoid(x)`.

    Where exp overflows to infinity the quotient is -0, and the product is that to within rounding.
    """

    name = "fuse-silu"
    claim = Claim.ROUNDS
    root = "Div"
    since_opset = 7
    requires = _logistic.REQUIRES
    pays = _logistic.PAYS

    def match(self, node: ir.Node) -> Match | None:
        """Bind x, which is divided and negated."""
        found = _logistic.denominator(node.inputs[1], node)
        return found if found is not None and found.x is node.inputs[0] else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One Sigmoid and one Mul."""
        return [tape.op("Mul", [m.x, tape.op("Sigmoid", [m.x])])]
