"""Remove a Slice that takes everything."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.shape._slices import is_whole, ranges


@record
class Match:
    """`out = Slice(x)`, from 0 to the end of every axis named."""

    x: ir.Value


class EliminateNoopSlice(Rule[Match]):
    """`Slice(x)` becomes `x` where it runs from 0 to the end of each axis in steps of 1.

    The end is one not less than the known length, or not less than INT_MAX, which the specification
    recommends for axes of unknown length.
    """

    name = "eliminate-noop-slice"
    claim = Claim.EXACT
    root = "Slice"
    unconditional = "the pattern holds only slices that leave nothing out"

    def match(self, node: ir.Node) -> Match | None:
        """Bind the input where every range is the whole axis."""
        x, found = facts.input_of(node, 0), ranges(node)
        if x is None or found is None:
            return None
        dims = facts.shape(x) or ()
        whole = all(is_whole(r, dims[axis] if axis < len(dims) else None) for axis, r in found.items())
        return Match(x) if whole else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input itself."""
        return [m.x]
