"""Remove a Flatten of a matrix."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Rule, Tape


@record
class Match:
    """`out = Flatten(x)`, where x is a matrix already and keeps its shape."""

    x: ir.Value


class EliminateNoopFlatten(Rule[Match]):
    """`Flatten(x)` becomes `x` where x is of rank 2 and its rows and columns stay what they are.

    At axis 1 they always do; at axis 0 the result has one row, at axis 2 one column, and so must x.
    """

    name = "eliminate-noop-flatten"
    claim = Claim.EXACT
    root = "Flatten"
    unconditional = "the pattern holds only matrices that keep both dimensions"

    def match(self, node: ir.Node) -> Match | None:
        """Bind the matrix."""
        x, axis = facts.input_of(node, 0), facts.int_attribute(node, "axis")
        dims = facts.shape(x) if x is not None else None
        if x is None or axis is None or dims is None or len(dims) != 2:
            return None
        axis = axis + 2 if axis < 0 else axis
        keeps = axis == 1 or (axis == 0 and dims[0] == 1) or (axis == 2 and dims[1] == 1)
        return Match(x) if keeps else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input itself."""
        return [m.x]
