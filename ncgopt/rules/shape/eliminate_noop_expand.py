"""Remove an Expand that repeats nothing."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.elements import elements
from ncgopt.records import record
from ncgopt.rewrite import Claim, Rule, Tape


@record
class Match:
    """`out = Expand(x, target)`, where x has every dimension of the target."""

    x: ir.Value


class EliminateNoopExpand(Rule[Match]):
    """`Expand(x, target)` becomes `x` where each dimension of the target is 1 or x's own."""

    name = "eliminate-noop-expand"
    claim = Claim.EXACT
    root = "Expand"
    since_opset = 8
    unconditional = "the pattern holds only targets that broadcast to the input's own shape"

    def match(self, node: ir.Node) -> Match | None:
        """Bind the input where the target adds nothing."""
        x, target = facts.input_of(node, 0), elements(facts.input_of(node, 1))
        if x is None or target is None:
            return None
        if target == ():
            return Match(x)
        return Match(x) if facts.is_broadcast_of(target, facts.shape(x)) else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input itself."""
        return [m.x]
