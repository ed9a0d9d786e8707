"""Concatenate once instead of twice."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.operands import normalized_axes
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape


@record
class Match:
    """`outer` is a Concat, one of whose inputs is the output of the Concat `inner`."""

    outer: ir.Node
    inner: ir.Node


class FuseConcats(Rule[Match]):
    """`Concat(a, Concat(b, c), d)` becomes `Concat(a, b, c, d)` along the same axis: no part is copied twice."""

    name = "fuse-concats"
    claim = Claim.EXACT
    root = "Concat"
    since_opset = 4  # before, the axis had a default that changed
    requires = (Requires[Match]("same-axis", "the parts lie side by side along another axis", lambda m: _same_axis(m)),)
    pays = (
        Pays[Match](
            "sole-user",
            "the inner result is made for its other users anyway",
            lambda m: not facts.other_users(m.inner.outputs[0], m.outer),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the first inner Concat that all guards allow, or else the first."""
        inners = [inner for inner in (facts.producer(v, "Concat") for v in node.inputs) if inner is not None]
        found = [Match(node, inner) for inner in inners if all(v is not None for v in inner.inputs)]
        good = (m for m in found if all(g.holds(m) for g in (*self.requires, *self.pays)))
        return next(good, found[0] if found else None)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The outer Concat with the inner one's parts in its place."""
        parts: list[ir.Value | None] = []
        for value in m.outer.inputs:
            parts.extend(m.inner.inputs if value is m.inner.outputs[0] else [value])
        return [tape.like(m.outer, parts)]


def _same_axis(m: Match) -> bool:
    inner, outer = facts.int_attribute(m.inner, "axis"), facts.int_attribute(m.outer, "axis")
    if inner is None or outer is None:
        return False
    # Both results have the rank of the parts.
    rank = next((r for r in map(facts.rank, (m.inner.outputs[0], m.outer.outputs[0])) if r is not None), None)
    return inner == outer or _counted(inner, rank) == _counted(outer, rank) is not None


def _counted(axis: int, rank: int | None) -> tuple[int, ...] | None:
    return normalized_axes((axis,), rank)
