"""Leave out a Cast between two others' types."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.shape._casts import passes_through


@record
class Match:
    """`out = Cast(Cast(x, to=between), to=to)`."""

    x: ir.Value
    between: ir.DataType
    to: ir.DataType
    outer: ir.Node


class FuseCasts(Rule[Match]):
    """`Cast(Cast(x, to=B), to=C)` becomes `Cast(x, to=C)` where B holds every value of x's type.

    A narrowing B rounds or wraps: double -> float -> float16 rounds twice, int64 -> int32 -> int64
    loses the upper half.
    """

    name = "fuse-casts"
    claim = Claim.EXACT
    root = "Cast"
    since_opset = 6
    requires = (
        Requires[Match]("lossless", "the type between does not hold every value of the first", lambda m: _lossless(m)),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the input of the inner Cast and both target types."""
        inner = facts.producer(facts.input_of(node, 0), "Cast")
        x = facts.input_of(inner, 0) if inner is not None else None
        if inner is None or x is None:
            return None
        between, to = facts.int_attribute(inner, "to"), facts.int_attribute(node, "to")
        if not between or not to or any(a.is_ref() for a in node.attributes.values()):
            return None
        return Match(x, ir.DataType(between), ir.DataType(to), node)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The outer Cast on the first value, or that value where it ends up as what it was."""
        return [m.x] if facts.dtype(m.x) == m.to else [tape.like(m.outer, [m.x])]


def _lossless(m: Match) -> bool:
    first = facts.dtype(m.x)
    return first is not None and passes_through(first, m.between, m.to)
