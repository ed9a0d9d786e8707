"""Remove a power of one."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.algebra import _neutral
from ncgopt.rules.algebra._neutral import Match


class EliminatePowOne(Rule[Match]):
    """`Pow(x, 1)` becomes `x`.

    IEEE 754 and C define pow(x, 1) as x for every float. Integers are raised in float64 by ONNX
    Runtime and lose what lies beyond its 53 bits.
    """

    name = "eliminate-pow-one"
    claim = Claim.EXACT
    root = "Pow"
    since_opset = 7
    requires = (
        Requires[Match]("float-base", "large integers pass through float64", lambda m: facts.is_float(m.x)),
        _neutral.NO_BROADCAST,
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the base and the constant exponent one, of whatever element type."""
        return _neutral.match(node, lambda c: bool((c == 1).all()), commutes=False)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The base."""
        return _neutral.build(m)
