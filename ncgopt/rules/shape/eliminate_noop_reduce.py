"""Remove a reduction of one element."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.operands import ints_operand, is_given, normalized_axes
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape


@record
class Match:
    """`out = Reduce*(x)` over axes of length 1, which are kept, or over none."""

    x: ir.Value
    op_type: str


class EliminateNoopReduce(Rule[Match]):
    """`ReduceMax(x)` becomes `x` where every reduced axis has length 1 and is kept; Min, Prod, Sum, Mean likewise.

    The maximum, minimum or product of one element is the element. Its sum may start at 0, and
    0 + -0.0 is 0.0: Sum and Mean only for integers.
    """

    name = "eliminate-noop-reduce"
    claim = Claim.EXACT
    root = ("ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceMean")
    requires = (
        Requires[Match](
            "keeps-sign-of-zero",
            "a sum that starts at 0 turns -0.0 into 0.0",
            lambda m: m.op_type not in ("ReduceSum", "ReduceMean") or facts.is_integer(m.x),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the input where nothing is put together and the shape stays."""
        x = facts.input_of(node, 0)
        if x is None or facts.int_attribute(node, "keepdims") != 1:
            return None
        return Match(x, node.op_type) if _reduces_nothing(node, x) else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input itself."""
        return [m.x]


def _reduces_nothing(node: ir.Node, x: ir.Value) -> bool:
    axes = ints_operand(node, "axes", 1)
    if axes is None and is_given(node, "axes", 1):
        return False
    if not axes and facts.int_attribute(node, "noop_with_empty_axes"):
        return True
    dims = facts.shape(x)
    if dims is None:
        return False
    counted = normalized_axes(axes, len(dims)) if axes else tuple(range(len(dims)))
    return counted is not None and all(dims[axis] == 1 for axis in counted)
