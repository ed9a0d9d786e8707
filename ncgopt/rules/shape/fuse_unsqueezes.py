"""Insert axes once instead of twice."""

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
    """`out = Unsqueeze(Unsqueeze(x))`; `axes` are those of both."""

    x: ir.Value
    axes: tuple[int, ...]


class FuseUnsqueezes(Rule[Match]):
    """`Unsqueeze(Unsqueeze(x, a), b)` becomes one Unsqueeze with the axes of both."""

    name = "fuse-unsqueezes"
    claim = Claim.EXACT
    root = "Unsqueeze"
    unconditional = "inserting axes moves no element, and the pattern holds only axes whose place is known"

    def match(self, node: ir.Node) -> Match | None:
        """Bind the first value and the axes of both, counted in the larger tensor."""
        between = facts.input_of(node, 0)
        inner = facts.producer(between, "Unsqueeze")
        x = facts.input_of(inner, 0) if inner is not None else None
        if inner is None or between is None or x is None:
            return None
        first, second = ints_operand(inner, "axes", 1), ints_operand(node, "axes", 1)
        if first is None or second is None:
            return None
        first = normalized_axes(first, facts.rank(between))
        second = normalized_axes(second, facts.rank(node.outputs[0]))
        if first is None or second is None:
            return None
        return Match(x, merged_axes(first, second))

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One Unsqueeze."""
        return [squeeze(tape, "Unsqueeze", m.x, m.axes)]
