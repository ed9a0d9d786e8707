"""Remove a Concat of one value."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Rule, Tape


@record
class Match:
    """`out = Concat(x)`."""

    x: ir.Value


class EliminateNoopConcat(Rule[Match]):
    """`Concat(x)` becomes `x`."""

    name = "eliminate-noop-concat"
    claim = Claim.EXACT
    root = "Concat"
    unconditional = "a single part is the whole"

    def match(self, node: ir.Node) -> Match | None:
        """Bind the only input."""
        x = facts.input_of(node, 0)
        return Match(x) if x is not None and len(node.inputs) == 1 else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input itself."""
        return [m.x]
