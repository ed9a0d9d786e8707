"""Take the branch that a constant condition always takes."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape


@record
class Match:
    """`out = Where(condition, ...)` always takes `taken`; the others only broadcast."""

    taken: ir.Value
    others: tuple[ir.Value, ...]


class EliminateWhereConstant(Rule[Match]):
    """`Where(c, x, y)` becomes `x` where c is a constant of nothing but true, `y` where nothing but false.

    ROUNDS for the sign of zero alone: ONNX Runtime's Where returns 0.0 where it should pass on -0.0.
    """

    name = "eliminate-where-constant"
    claim = Claim.ROUNDS
    root = "Where"
    since_opset = 9
    requires = (
        Requires[Match](
            "no-broadcast",
            "the condition or the other branch enlarges what is taken",
            lambda m: all(facts.is_broadcast_of(facts.shape(v), facts.shape(m.taken)) for v in m.others),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the branch taken."""
        condition, x, y = (facts.input_of(node, k) for k in range(3))
        decided = facts.constant(condition)
        if condition is None or x is None or y is None or decided is None:
            return None
        if decided.all():
            return Match(x, (condition, y))
        return None if decided.any() else Match(y, (condition, x))

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The branch taken."""
        return [m.taken]
