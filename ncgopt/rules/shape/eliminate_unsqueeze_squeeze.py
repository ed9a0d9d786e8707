"""Remove axes that are inserted and taken out again."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.operands import ints_operand
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.shape._axes import same_axes


@record
class Match:
    """`out = Squeeze(Unsqueeze(x, inserted), removed)`; both count the axes of what is between."""

    x: ir.Value
    between: ir.Value
    inserted: tuple[int, ...]
    removed: tuple[int, ...]


class EliminateUnsqueezeSqueeze(Rule[Match]):
    """`Squeeze(Unsqueeze(x, axes), axes)` becomes `x`."""

    name = "eliminate-unsqueeze-squeeze"
    claim = Claim.EXACT
    root = "Squeeze"
    requires = (
        Requires[Match](
            "same-axes",
            "another axis of length 1 is taken out than was put in",
            lambda m: same_axes(m.inserted, m.removed, facts.rank(m.between)),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the value and the axes put in and taken out."""
        between = facts.input_of(node, 0)
        inner = facts.producer(between, "Unsqueeze")
        x = facts.input_of(inner, 0) if inner is not None else None
        if inner is None or between is None or x is None:
            return None
        inserted, removed = ints_operand(inner, "axes", 1), ints_operand(node, "axes", 1)
        return None if inserted is None or removed is None else Match(x, between, inserted, removed)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input itself."""
        return [m.x]
