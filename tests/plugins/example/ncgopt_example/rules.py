"""Two rules about rounding: one that holds, and one that does not."""

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Rule
from ncgopt.rewrite.tape import Tape


@record
class Match:
    """`out = root(x)`."""

    x: ir.Value


class EliminateDoubleCeil(Rule[Match]):
    """`Ceil(Ceil(x))` becomes `Ceil(x)`."""

    name = "example-eliminate-double-ceil"
    claim = Claim.EXACT
    root = "Ceil"
    unconditional = "what was rounded up is a whole number, an infinity or NaN, and Ceil keeps all of these"

    def match(self, node: ir.Node) -> Match | None:
        """Bind the inner result."""
        inner = facts.producer(node.inputs[0])
        if inner is None or inner.op_type != "Ceil" or inner.domain or node.inputs[0] is None:
            return None
        return Match(node.inputs[0])

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The inner result."""
        return [m.x]


class EliminateFloor(Rule[Match]):
    """`Floor(x)` becomes `x`, which is wrong: verification has to find it."""

    name = "example-eliminate-floor"
    claim = Claim.EXACT
    root = "Floor"
    unconditional = "nothing: it does not hold"

    def match(self, node: ir.Node) -> Match | None:
        """Bind x."""
        return None if node.inputs[0] is None else Match(node.inputs[0])

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The operand."""
        return [m.x]


RULES = (EliminateDoubleCeil(), EliminateFloor())
