"""Remove a Pad that adds nothing."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.operands import ints_operand
from ncgopt.records import record
from ncgopt.rewrite import Claim, Rule, Tape


@record
class Match:
    """`out = Pad(x, pads)`, all zero."""

    x: ir.Value


class EliminateNoopPad(Rule[Match]):
    """`Pad(x, pads)` becomes `x` where nothing is added or cut off at any end, in every mode."""

    name = "eliminate-noop-pad"
    claim = Claim.EXACT
    root = "Pad"
    since_opset = 2  # before, the attribute had another name
    unconditional = "a Pad of no elements at both ends of every axis is the input"

    def match(self, node: ir.Node) -> Match | None:
        """Bind the input where all pads are 0."""
        x, pads = facts.input_of(node, 0), ints_operand(node, "pads", 1)
        return Match(x) if x is not None and pads is not None and not any(pads) else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input itself."""
        return [m.x]
