"""Take the reciprocal instead of raising to the power of minus one."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.algebra import _powers
from ncgopt.rules.algebra._powers import Match


class ReplacePowReciprocal(Rule[Match]):
    """`Pow(x, -1)` becomes `Reciprocal(x)`.

    Both give infinity of the right sign for signed zeros, and signed zeros for infinities. The
    reciprocal is correctly rounded, C's pow may be one unit in the last place off.
    """

    name = "replace-pow-reciprocal"
    claim = Claim.ROUNDS
    root = "Pow"
    since_opset = 7
    requires = (_powers.NO_BROADCAST,)

    def match(self, node: ir.Node) -> Match | None:
        """Bind x where the exponent is minus one."""
        return _powers.match(node, -1)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One Reciprocal."""
        return [tape.op("Reciprocal", [m.x])]
