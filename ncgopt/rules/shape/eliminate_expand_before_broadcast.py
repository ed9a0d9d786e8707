"""Let an elementwise operator broadcast instead of an Expand."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape


@record
class Match:
    """Input number `index` of the elementwise `node` is `Expand(x)`."""

    node: ir.Node
    index: int
    x: ir.Value


class EliminateExpandBeforeBroadcast(Rule[Match]):
    """`Add(Expand(x), y)` becomes `Add(x, y)` where y is of at least the expanded shape.

    The operator itself then repeats the same elements. Pow stays out: ONNX Runtime computes a scalar
    exponent in another way than a tensor of the same number.
    """

    name = "eliminate-expand-before-broadcast"
    claim = Claim.EXACT
    root = (
        "Add", "Sub", "Mul", "Div", "Mod", "Min", "Max", "Where",
        "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual",
        "And", "Or", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseXor",
    )  # fmt: skip
    since_opset = 8  # Expand; and from here on all of these broadcast alike
    requires = (
        Requires[Match](
            "covered-by-another", "no other input is known to have the expanded shape", lambda m: _is_covered(m)
        ),
        Requires[Match](
            "zeros-alike",
            "which of 0 and -0 is larger depends on how ONNX Runtime repeats the elements",
            lambda m: m.node.op_type not in ("Min", "Max") or facts.is_integer(m.node.outputs[0]),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the first expanded input that another one covers, or else the first."""
        found: list[Match] = []
        for index, value in enumerate(node.inputs):
            expand = facts.producer(value, "Expand")
            x = facts.input_of(expand, 0) if expand is not None else None
            if x is not None and value is not None:
                found.append(Match(node, index, x))
        return next((m for m in found if _is_covered(m)), found[0] if found else None)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The operator on what was expanded."""
        inputs = list(m.node.inputs)
        inputs[m.index] = m.x
        return [tape.like(m.node, inputs)]


def _is_covered(m: Match) -> bool:
    expanded = m.node.inputs[m.index]
    if expanded is None:
        return False
    others = [v for i, v in enumerate(m.node.inputs) if i != m.index and v is not None]
    return any(facts.is_broadcast_of(facts.shape(expanded), facts.shape(v)) for v in others)
