"""Let a reduction keep its axes or not, instead of putting them in or taking them out afterwards."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.operands import ints_operand, normalized_axes
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape

_ARG = ("ArgMax", "ArgMin")
_REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare", *_ARG,
)  # fmt: skip


@record
class Match:
    """`out = Unsqueeze(Reduce*(x, keepdims=0))` or `Squeeze(Reduce*(x, keepdims=1))`; axes counted in x's shape."""

    reduction: ir.Node
    keepdims: int
    reduced: tuple[int, ...]
    moved: tuple[int, ...]


class FoldSqueezeIntoReduce(Rule[Match]):
    """`Unsqueeze(ReduceMean(x, keepdims=0))` becomes `ReduceMean(x, keepdims=1)`, and Squeeze the reverse.

    The same for the other reductions, ArgMax and ArgMin.
    """

    name = "fold-squeeze-into-reduce"
    claim = Claim.EXACT
    root = ("Squeeze", "Unsqueeze")
    requires = (
        Requires[Match](
            "same-axes",
            "axes other than the reduced ones come in or go out",
            lambda m: sorted(m.reduced) == sorted(m.moved),
        ),
    )
    pays = (
        Pays[Match](
            "sole-user",
            "the reduction stays for its other users",
            lambda m: facts.sole_user(m.reduction.outputs[0]),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the reduction and both sets of axes."""
        reduction = facts.producer(facts.input_of(node, 0), *_REDUCTIONS)
        x = facts.input_of(reduction, 0) if reduction is not None else None
        moved = ints_operand(node, "axes", 1)
        keepdims = int(node.op_type == "Unsqueeze")
        if reduction is None or x is None or moved is None or facts.int_attribute(reduction, "keepdims") == keepdims:
            return None
        rank = facts.rank(x)
        reduced, moved = _reduced(reduction, rank), normalized_axes(moved, rank)
        return None if reduced is None or moved is None else Match(reduction, keepdims, reduced, moved)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The reduction, which keeps its axes or does not."""
        made = tape.like(m.reduction, m.reduction.inputs)
        node = made.producer()
        assert node is not None
        node.attributes["keepdims"] = ir.AttrInt64("keepdims", m.keepdims)
        return [made]


def _reduced(node: ir.Node, rank: int | None) -> tuple[int, ...] | None:
    if node.op_type in _ARG:
        axis = facts.int_attribute(node, "axis")
        return None if axis is None else normalized_axes((axis,), rank)
    axes = ints_operand(node, "axes", 1)
    # Without axes everything is reduced, or nothing: not worth telling apart.
    return normalized_axes(axes, rank) if axes else None
