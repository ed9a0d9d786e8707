"""Remove a Cast to the type the value has already."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.shape._casts import PLAIN


@record
class Match:
    """`out = Cast(x)`, where x has the target type."""

    x: ir.Value


class EliminateNoopCast(Rule[Match]):
    """`Cast(x, to=T)` becomes `x` where x is of type T.

    The 8-bit floats stay out: whether infinity survives a Cast from such a type to itself depends on
    `saturate` and on the implementation.
    """

    name = "eliminate-noop-cast"
    claim = Claim.EXACT
    root = "Cast"
    since_opset = 6  # before, `to` was a string
    unconditional = "the conversion of a type to itself changes no value"

    def match(self, node: ir.Node) -> Match | None:
        """Bind the input where its type is the target."""
        x, to = facts.input_of(node, 0), facts.int_attribute(node, "to")
        if x is None:
            return None
        dtype = facts.dtype(x)
        return Match(x) if dtype is not None and dtype == to and dtype in PLAIN else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input itself."""
        return [m.x]
