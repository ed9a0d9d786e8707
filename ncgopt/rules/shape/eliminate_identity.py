"""Remove Identity."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Rule, Tape


@record
class Match:
    """`out = Identity(x)`."""

    x: ir.Value


class EliminateIdentity(Rule[Match]):
    """`Identity(x)` becomes `x`.

    One that gives a graph input, an initializer or another output the name of a graph output stays:
    nothing else can carry that name.
    """

    name = "eliminate-identity"
    claim = Claim.EXACT
    root = "Identity"
    unconditional = "Identity returns its input, whatever its type"

    def match(self, node: ir.Node) -> Match | None:
        """Bind the input."""
        x = facts.input_of(node, 0)
        return None if x is None else Match(x)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input itself."""
        return [m.x]
