"""Multiply a value by itself instead of raising it to the power of two."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Pays, Rule, Tape
from ncgopt.rules.algebra import _powers
from ncgopt.rules.algebra._idioms import is_averaged
from ncgopt.rules.algebra._powers import Match


class ReplacePowSquare(Rule[Match]):
    """`Pow(x, 2)` becomes `Mul(x, x)`.

    The product is the correctly rounded square. ONNX Runtime's kernel multiplies too where the
    exponent is a single 2, whatever its type, and so does NumPy's; only the operator is cheaper to
    dispatch, and other rules know it.
    """

    name = "replace-pow-square"
    claim = Claim.EXACT
    root = "Pow"
    since_opset = 7
    requires = (_powers.NO_BROADCAST,)
    pays = (
        Pays[Match]("not-a-variance", "runtimes know a normalization by its Pow", lambda m: not is_averaged(m.out)),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind x where the exponent is two."""
        return _powers.match(node, 2)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One multiplication."""
        return [tape.op("Mul", [m.x, m.x])]
