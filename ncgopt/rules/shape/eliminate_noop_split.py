"""Remove a Split into one part."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Rule, Tape


@record
class Match:
    """`out = Split(x)`, with a single output."""

    x: ir.Value


class EliminateNoopSplit(Rule[Match]):
    """`Split(x)` with one output becomes `x`."""

    name = "eliminate-noop-split"
    claim = Claim.EXACT
    root = "Split"
    unconditional = "the parts add up to the input, so that a single one is all of it"

    def match(self, node: ir.Node) -> Match | None:
        """Bind the input."""
        x = facts.input_of(node, 0)
        return Match(x) if x is not None and len(node.outputs) == 1 else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input itself."""
        return [m.x]
