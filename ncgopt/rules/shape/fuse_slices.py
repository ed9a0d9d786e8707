"""Slice once instead of twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.shape._slices import Range, composed, ranges


@record
class Match:
    """`out = Slice(Slice(x, first), second)`, each a range per axis."""

    x: ir.Value
    first: dict[int, Range]
    second: dict[int, Range]


class FuseSlices(Rule[Match]):
    """`Slice(Slice(x))` becomes one Slice.

    Ranges along different axes are independent. Along the same axis they compose where both count
    from the front in steps of 1; what counts from the end needs the length.
    """

    name = "fuse-slices"
    claim = Claim.EXACT
    root = "Slice"
    requires = (
        Requires[Match](
            "composable",
            "two ranges of the same axis that do not add up to one of known bounds",
            lambda m: all(composed(m.first[axis], m.second[axis]) for axis in m.first.keys() & m.second.keys()),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the first value and the ranges of both."""
        inner = facts.producer(facts.input_of(node, 0), "Slice")
        x = facts.input_of(inner, 0) if inner is not None else None
        if inner is None or x is None:
            return None
        first, second = ranges(inner), ranges(node)
        return None if first is None or second is None else Match(x, first, second)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One Slice with the ranges of both."""
        both = {**m.first, **m.second}
        for axis in m.first.keys() & m.second.keys():
            both[axis] = composed(m.first[axis], m.second[axis]) or m.second[axis]
        axes = sorted(both)
        starts, ends = [both[a].start for a in axes], [both[a].end for a in axes]
        if tape.opsets.get("", 1) < 10:
            return [tape.op("Slice", [m.x], {"starts": starts, "ends": ends, "axes": axes})]
        steps = [both[a].step for a in axes]
        operands = [starts, ends, axes] + ([steps] if any(step != 1 for step in steps) else [])
        return [tape.op("Slice", [m.x, *(tape.constant(np.array(o, dtype=np.int64)) for o in operands)])]
