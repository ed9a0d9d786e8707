"""Let an addition or a subtraction negate."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Rule, Tape


@record
class Match:
    """`op_type(a, b)` is what an Add or a Sub computes with `negated`, the negative of one of the two."""

    op_type: str
    a: ir.Value
    b: ir.Value
    negated: ir.Value


class FuseNegIntoAddSub(Rule[Match]):
    """`a + (-b)` becomes `a - b`, and `a - (-b)` becomes `a + b`.

    IEEE 754 defines a subtraction as the addition of the negative, zeros and infinities included;
    integers wrap around in both.
    """

    name = "fuse-neg-into-add-sub"
    claim = Claim.EXACT
    root = ("Add", "Sub")
    since_opset = 7
    unconditional = "a subtraction is defined as the addition of the negative"
    pays = (Pays[Match]("sole-user", "the negative is computed all the same", lambda m: facts.sole_user(m.negated)),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind both operands, one of them as it was before it was negated."""
        a, b = node.inputs
        commuted = ((a, b), (b, a)) if node.op_type == "Add" else ((a, b),)
        for other, negated in commuted:
            neg = producer_beside(negated, node, "Neg")
            x = facts.input_of(neg, 0) if neg is not None else None
            if other is not None and negated is not None and x is not None:
                return Match("Sub" if node.op_type == "Add" else "Add", other, x, negated)
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One Sub or Add."""
        return [tape.op(m.op_type, [m.a, m.b])]
