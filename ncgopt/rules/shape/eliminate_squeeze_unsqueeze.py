"""Remove axes that are taken out and inserted again."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.operands import ints_operand, is_given
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.shape._axes import same_axes


@record
class Match:
    """`out = Unsqueeze(Squeeze(x, removed), inserted)`; both count the axes of x."""

    x: ir.Value
    removed: tuple[int, ...]
    inserted: tuple[int, ...]


class EliminateSqueezeUnsqueeze(Rule[Match]):
    """`Unsqueeze(Squeeze(x, axes), axes)` becomes `x`.

    Without axes Squeeze takes out every axis of length 1; which those are must be known then.
    """

    name = "eliminate-squeeze-unsqueeze"
    claim = Claim.EXACT
    root = "Unsqueeze"
    requires = (
        Requires[Match](
            "same-axes",
            "an axis of length 1 comes back in another place",
            lambda m: same_axes(m.removed, m.inserted, facts.rank(m.x)),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the value and the axes taken out and put in."""
        inner = facts.producer(facts.input_of(node, 0), "Squeeze")
        x = facts.input_of(inner, 0) if inner is not None else None
        if inner is None or x is None:
            return None
        removed = ints_operand(inner, "axes", 1) if is_given(inner, "axes", 1) else _unit_axes(x)
        inserted = ints_operand(node, "axes", 1)
        if removed is None or inserted is None or len(removed) != len(inserted):
            return None
        return Match(x, removed, inserted)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input itself."""
        return [m.x]


def _unit_axes(x: ir.Value) -> tuple[int, ...] | None:
    dims = facts.static(x)
    return None if dims is None else tuple(i for i, d in enumerate(dims) if d == 1)
