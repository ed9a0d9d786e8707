"""Fuse a GELU written in pieces into the operator."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.activation import _gelu
from ncgopt.rules.activation._gelu import Match


class FuseGelu(Rule[Match]):
    """`x / 2 * (1 + erf(x / sqrt 2))` becomes `Gelu(x)`, its approximation by tanh `Gelu(x, approximate="tanh")`.

    Factors and summands may stand in any order, products may be expanded, the cube may be a Pow or
    a product. The constants are checked to within the precision of the element type.
    """

    name = "fuse-gelu"
    claim = Claim.ROUNDS
    root = ("Mul", "Div", "Add")
    since_opset = 20
    requires = _gelu.REQUIRES
    pays = _gelu.PAYS

    def match(self, node: ir.Node) -> Match | None:
        """Bind x, and everything between it and the result."""
        return _gelu.match(node)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One Gelu."""
        return [tape.op("Gelu", [m.x], {"approximate": "tanh"} if m.tanh else None)]
