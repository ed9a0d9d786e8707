"""Remove a double negation."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Rule, Tape


@record
class Match:
    """`out = Neg(Neg(x))`."""

    x: ir.Value


class EliminateDoubleNeg(Rule[Match]):
    """`Neg(Neg(x))` becomes `x`."""

    name = "eliminate-double-neg"
    claim = Claim.EXACT
    root = "Neg"
    unconditional = "negation flips the sign bit of a float, and is its own inverse for integers modulo 2^n"

    def match(self, node: ir.Node) -> Match | None:
        """Bind what the inner Neg negates."""
        inner = facts.producer(node.inputs[0], "Neg")
        x = facts.input_of(inner, 0) if inner is not None else None
        return Match(x) if x is not None else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The operand of the inner Neg."""
        return [m.x]
