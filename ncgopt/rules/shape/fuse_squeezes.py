"""Remove axes once instead of twice."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.operands import ints_operand, normalized_axes
from ncgopt.records import record
from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.shape._axes import merged_axes, squeeze


@record
class Match:
    """`out = Squeeze(Squeeze(x))`; `axes` are those of both."""

    x: ir.Value
    axes: tuple[int, ...]


class FuseSqueezes(Rule[Match]):
    """`Squeeze(Squeeze(x, a), b)` becomes one Squeeze with the axes of both."""

    name = "fuse-squeezes"
    claim = Claim.EXACT
    root = "Squeeze"
    unconditional = "removing axes of length 1 moves no element, and the pattern holds only axes whose place is known"

    def match(self, node: ir.Node) -> Match | None:
        """Bind the first value and the axes of both, counted in the larger tensor."""
        between = facts.input_of(node, 0)
        inner = facts.producer(between, "Squeeze")
        x = facts.input_of(inner, 0) if inner is not None else None
        if inner is None or between is None or x is None:
            return None
        first, second = ints_operand(inner, "axes", 1), ints_operand(node, "axes", 1)
        if first is None or second is None:
            return None
        first = normalized_axes(first, facts.rank(x))
        second = normalized_axes(second, facts.rank(between))
        if first is None or second is None:
            return None
        return Match(x, merged_axes(second, first))

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One Squeeze."""
        return [squeeze(tape, "Squeeze", m.x, m.axes)]
