"""Remove a Tile that repeats nothing."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.operands import ints_operand
from ncgopt.records import record
from ncgopt.rewrite import Claim, Rule, Tape


@record
class Match:
    """`out = Tile(x, repeats)`, all ones."""

    x: ir.Value


class EliminateNoopTile(Rule[Match]):
    """`Tile(x, repeats)` becomes `x` where every count is 1."""

    name = "eliminate-noop-tile"
    claim = Claim.EXACT
    root = "Tile"
    since_opset = 6  # before, the inputs were others
    unconditional = "one copy along every axis is the input"

    def match(self, node: ir.Node) -> Match | None:
        """Bind the input where all counts are 1."""
        x, repeats = facts.input_of(node, 0), ints_operand(node, "", 1)
        return Match(x) if x is not None and repeats is not None and all(n == 1 for n in repeats) else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input itself."""
        return [m.x]
