"""Remove a double logical negation."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Rule, Tape


@record
class Match:
    """`out = Not(Not(x))`."""

    x: ir.Value


class EliminateDoubleNot(Rule[Match]):
    """`Not(Not(x))` becomes `x`."""

    name = "eliminate-double-not"
    claim = Claim.EXACT
    root = "Not"
    unconditional = "logical negation is its own inverse"

    def match(self, node: ir.Node) -> Match | None:
        """Bind what the inner Not negates."""
        inner = facts.producer(node.inputs[0], "Not")
        x = facts.input_of(inner, 0) if inner is not None else None
        return Match(x) if x is not None else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The operand of the inner Not."""
        return [m.x]
