"""Remove a Relu or an Abs of what is never negative."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.ranges import is_non_negative
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape


@record
class Match:
    """`Relu(x)` or `Abs(x)`, x computed."""

    x: ir.Value


class EliminateReluByRange(Rule[Match]):
    """`Relu(Sigmoid(x))`, `Abs(Exp(x))`, `Relu(MaxPool(Relu(x)))` lose their outer operator.

    Where intervals, followed from operator to operator, show that nothing is below zero. ROUNDS for
    the sign of zero alone.
    """

    name = "eliminate-relu-by-range"
    claim = Claim.ROUNDS
    root = ("Relu", "Abs")
    requires = (
        Requires[Match]("non-negative", "what is below zero becomes another number", lambda m: is_non_negative(m.x)),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind what another operator computes; of inputs nothing is known."""
        x = node.inputs[0]
        return Match(x) if x is not None and facts.producer(x) is not None else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The operand."""
        return [m.x]
