"""Pick from a tensor itself instead of from its transpose."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.layout._moves import counted_axis
from ncgopt.rules.shape._permutations import permutation


@record
class Match:
    """`out = Gather(Transpose(x), index, axis)`, index of rank 0; `rest` are the axes of x that remain, in order."""

    x: ir.Value
    index: ir.Value
    axis: int
    rest: tuple[int, ...]
    transposed: ir.Value


class EliminateTransposeBeforeGather(Rule[Match]):
    """`Gather(Transpose(x, [2, 0, 1]), i, axis=0)` becomes `Gather(x, i, axis=2)`.

    One element along an axis is the same in every layout, and what remains is in x's own order.
    """

    name = "eliminate-transpose-before-gather"
    claim = Claim.EXACT
    root = "Gather"
    requires = (
        Requires[Match]("rest-in-order", "the axes that remain were moved", lambda m: list(m.rest) == sorted(m.rest)),
    )
    pays = (Pays[Match]("sole-user", "the Transpose stays for others", lambda m: facts.sole_user(m.transposed)),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind what was transposed and the axis of it that is picked from."""
        transposed, index = facts.input_of(node, 0), facts.input_of(node, 1)
        transpose = facts.producer(transposed, "Transpose")
        x = facts.input_of(transpose, 0) if transpose is not None else None
        if transpose is None or transposed is None or x is None or index is None or facts.rank(index) != 0:
            return None
        perm = permutation(transpose)
        axis = counted_axis(node, len(perm)) if perm is not None else None
        if perm is None or axis is None:
            return None
        return Match(x, index, perm[axis], perm[:axis] + perm[axis + 1 :], transposed)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The Gather along the axis of x."""
        return [tape.op("Gather", [m.x, m.index], {"axis": m.axis})]
