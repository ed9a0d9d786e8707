"""Fuse the logistic function written in pieces into Sigmoid."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.activation import _logistic
from ncgopt.rules.activation._logistic import Match


class FuseSigmoid(Rule[Match]):
    """`1 / (1 + exp(-x))` becomes `Sigmoid(x)`; a Reciprocal may take the place of the division.

    Where exp overflows to infinity the quotient is 0, and so is Sigmoid to within rounding.
    """

    name = "fuse-sigmoid"
    claim = Claim.ROUNDS
    root = ("Div", "Reciprocal")
    since_opset = 7
    requires = _logistic.REQUIRES
    pays = _logistic.PAYS

    def match(self, node: ir.Node) -> Match | None:
        """Bind x."""
        if node.op_type == "Div":
            one = node.inputs[0]
            if one is None or facts.scalar(one) != 1 or facts.rank(one) != 0:
                return None
        return _logistic.denominator(node.inputs[-1], node)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One Sigmoid."""
        return [tape.op("Sigmoid", [m.x])]
