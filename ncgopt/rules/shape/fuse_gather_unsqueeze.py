"""Pick one element and keep its axis, instead of taking the axis out and putting it back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.operands import ints_operand, normalized_axes
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape


@record
class Match:
    """`out = Unsqueeze(Gather(x, index, axis), inserted)`, index a constant of rank 0; axes counted from the front."""

    x: ir.Value
    index: np.ndarray
    axis: int
    inserted: tuple[int, ...]
    between: ir.Value


class FuseGatherUnsqueeze(Rule[Match]):
    """`Unsqueeze(Gather(x, 3, axis=a), a)` becomes `Gather(x, [3], axis=a)`.

    An index of rank 1 keeps the axis that one of rank 0 takes out.
    """

    name = "fuse-gather-unsqueeze"
    claim = Claim.EXACT
    root = "Unsqueeze"
    requires = (
        Requires[Match]("same-axis", "the axis comes back in another place", lambda m: m.inserted == (m.axis,)),
    )
    pays = (Pays[Match]("sole-user", "the Gather stays for its other users", lambda m: facts.sole_user(m.between)),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind the tensor, the index and where the axis comes back."""
        between = facts.input_of(node, 0)
        gather, inserted = facts.producer(between, "Gather"), ints_operand(node, "axes", 1)
        x = facts.input_of(gather, 0) if gather is not None else None
        if gather is None or between is None or x is None or inserted is None:
            return None
        index, axis = facts.constant(facts.input_of(gather, 1)), facts.int_attribute(gather, "axis")
        if index is None or index.ndim or axis is None:
            return None
        axes = normalized_axes((axis,), facts.rank(x))
        inserted = normalized_axes(inserted, facts.rank(node.outputs[0]))
        return None if axes is None or inserted is None else Match(x, index, axes[0], inserted, between)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The Gather with an index of rank 1."""
        return [tape.op("Gather", [m.x, tape.constant(m.index.reshape(1))], {"axis": m.axis})]
