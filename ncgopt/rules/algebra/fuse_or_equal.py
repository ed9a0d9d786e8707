"""Fuse a comparison and an equality into one comparison."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Rule, Tape

_FUSED = {"Greater": "GreaterOrEqual", "Less": "LessOrEqual"}


@record
class Match:
    """`Or(compared, equal)`: `a > b` or `a < b`, or a equals b."""

    op_type: str
    a: ir.Value
    b: ir.Value
    compared: ir.Value
    equal: ir.Value


class FuseOrEqual(Rule[Match]):
    """`a > b or a == b` becomes `a >= b`, and the same for `<`.

    With NaN on either side all of them are false.
    """

    name = "fuse-or-equal"
    claim = Claim.EXACT
    root = "Or"
    since_opset = 12
    unconditional = "the fused operator is defined as this disjunction"
    pays = (
        Pays[Match](
            "sole-users",
            "both comparisons are computed all the same",
            lambda m: facts.sole_user(m.compared) and facts.sole_user(m.equal),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind what is compared, in either order."""
        first, second = node.inputs
        for compared, equal in ((first, second), (second, first)):
            comparison, equality = producer_beside(compared, node, *_FUSED), producer_beside(equal, node, "Equal")
            if comparison is None or equality is None or compared is None or equal is None:
                continue
            a, b = comparison.inputs
            if a is not None and b is not None and {a, b} == set(equality.inputs):
                return Match(_FUSED[comparison.op_type], a, b, compared, equal)
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One comparison."""
        return [tape.op(m.op_type, [m.a, m.b])]
