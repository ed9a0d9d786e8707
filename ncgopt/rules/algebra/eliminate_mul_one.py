"""Remove a multiplication by one."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Pays, Rule, Tape
from ncgopt.rules.algebra import _neutral
from ncgopt.rules.algebra._idioms import is_normalized
from ncgopt.rules.algebra._neutral import Match


class EliminateMulOne(Rule[Match]):
    """`Mul(x, 1)` becomes `x`: one is neutral for integers and for every float, signed zeros and NaN included."""

    name = "eliminate-mul-one"
    claim = Claim.EXACT
    root = "Mul"
    since_opset = 7
    requires = (_neutral.NO_BROADCAST,)
    pays = (
        Pays[Match](
            "not-a-normalization", "runtimes know a normalization by its scale", lambda m: not is_normalized(m.x)
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind x and the constant one."""
        return _neutral.match(node, lambda c: bool((c == 1).all()), commutes=True)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The other operand."""
        return _neutral.build(m)
