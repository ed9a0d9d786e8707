"""Remove a Split whose parts are put together again."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.operands import normalized_axes
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape


@record
class Match:
    """`out = Concat(...)` of outputs of one Split of x."""

    x: ir.Value
    split: ir.Node
    concat: ir.Node


class EliminateSplitConcat(Rule[Match]):
    """`Concat(Split(x))` becomes `x` where all parts come back in order along the same axis."""

    name = "eliminate-split-concat"
    claim = Claim.EXACT
    root = "Concat"
    since_opset = 4
    requires = (
        Requires[Match](
            "in-order",
            "a part is missing, doubled or in another place",
            lambda m: list(m.concat.inputs) == list(m.split.outputs),
        ),
        Requires[Match]("same-axis", "parts of one axis are put together along another", lambda m: _same_axis(m)),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind what was split where all inputs come from one Split."""
        splits = {facts.producer(v, "Split") for v in node.inputs}
        split = splits.pop() if len(splits) == 1 else None
        x = facts.input_of(split, 0) if split is not None else None
        return None if split is None or x is None else Match(x, split, node)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input of the Split."""
        return [m.x]


def _same_axis(m: Match) -> bool:
    first, second = facts.int_attribute(m.split, "axis"), facts.int_attribute(m.concat, "axis")
    if first is None or second is None:
        return False
    rank = facts.rank(m.x)
    counted = normalized_axes((first,), rank)
    return first == second or (counted is not None and counted == normalized_axes((second,), rank))
