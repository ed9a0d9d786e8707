"""Remove a division by one."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.algebra import _neutral
from ncgopt.rules.algebra._neutral import Match


class EliminateDivOne(Rule[Match]):
    """`Div(x, 1)` becomes `x`: dividing by one is exact for integers and for every float."""

    name = "eliminate-div-one"
    claim = Claim.EXACT
    root = "Div"
    since_opset = 7
    requires = (_neutral.NO_BROADCAST,)

    def match(self, node: ir.Node) -> Match | None:
        """Bind x and the constant one."""
        return _neutral.match(node, lambda c: bool((c == 1).all()), commutes=False)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The other operand."""
        return _neutral.build(m)
