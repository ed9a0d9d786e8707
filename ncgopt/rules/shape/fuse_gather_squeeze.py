"""Pick one element without keeping its axis, instead of taking the axis out afterwards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.operands import ints_operand, normalized_axes
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.shape._slices import ranges


@record
class Match:
    """`out = Squeeze(between, removed)`, between being element `index` of x along `axis`, counted from the front."""

    x: ir.Value
    index: int
    axis: int
    removed: tuple[int, ...]
    between: ir.Value


class FuseGatherSqueeze(Rule[Match]):
    """`Squeeze(Gather(x, [3], axis=a), a)` and `Squeeze(Slice(x, 3, 4, axes=a), a)` become `Gather(x, 3, axis=a)`.

    An index of rank 0 takes the axis out. A Slice must be known to take one element: behind the end
    of a shorter axis it takes none, where a Gather fails as the Squeeze does.
    """

    name = "fuse-gather-squeeze"
    claim = Claim.EXACT
    root = "Squeeze"
    requires = (Requires[Match]("same-axis", "another axis is taken out", lambda m: m.removed == (m.axis,)),)
    pays = (Pays[Match]("sole-user", "what picks stays for its other users", lambda m: facts.sole_user(m.between)),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind the tensor, the element and the axis taken out."""
        between = facts.input_of(node, 0)
        inner, removed = facts.producer(between, "Gather", "Slice"), ints_operand(node, "axes", 1)
        x = facts.input_of(inner, 0) if inner is not None else None
        if inner is None or between is None or x is None or removed is None:
            return None
        picked = _picked_by_gather(inner, x) if inner.op_type == "Gather" else _picked_by_slice(inner)
        removed = normalized_axes(removed, facts.rank(between))
        return None if picked is None or removed is None else Match(x, picked[0], picked[1], removed, between)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The Gather with an index of rank 0."""
        index = tape.constant(np.array(m.index, dtype=np.int64))
        return [tape.op("Gather", [m.x, index], {"axis": m.axis})]


def _picked_by_gather(gather: ir.Node, x: ir.Value) -> tuple[int, int] | None:
    """The element and the axis."""
    index, axis = facts.constant(facts.input_of(gather, 1)), facts.int_attribute(gather, "axis")
    axes = normalized_axes((axis,), facts.rank(x)) if axis is not None else None
    return None if index is None or index.shape != (1,) or axes is None else (int(index[0]), axes[0])


def _picked_by_slice(node: ir.Node) -> tuple[int, int] | None:
    """The element and the axis where the Slice takes one element of one axis and leaves the others alone."""
    found = ranges(node)
    if found is None or len(found) != 1:
        return None
    ((axis, r),) = found.items()
    # -1 to the end is one element too, of whatever length the axis is.
    is_last = r.start == -1 and r.end >= 2**31 - 1
    return (r.start, axis) if r.step == 1 and (is_last or (r.end == r.start + 1 and r.end != 0)) else None
