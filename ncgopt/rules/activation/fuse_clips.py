"""Clip once instead of twice."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Rule, Tape
from ncgopt.rules.activation import _clip


@record
class Match:
    """`out = Clip(Clip(x))`, and the bounds that do the same at once."""

    x: ir.Value
    between: ir.Value
    bounds: _clip.Bounds
    outer: ir.Node


class FuseClips(Rule[Match]):
    """`Clip(Clip(x, a, b), c, d)` becomes `Clip(x, Clip(a, c, d), Clip(b, c, d))`.

    Clipping selects: no number is computed, so that nothing can be rounded otherwise. A bound that
    is NaN or -0.0, and a lower bound above the upper one, are left alone.
    """

    name = "fuse-clips"
    claim = Claim.EXACT
    root = "Clip"
    since_opset = 6
    unconditional = "clipping twice is clipping at what the second Clip makes of the first one's bounds"
    pays = (Pays[Match]("sole-user", "both are computed all the same", lambda m: facts.sole_user(m.between)),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind the input of the inner Clip where all four bounds are known."""
        between = facts.input_of(node, 0)
        inner = facts.producer(between, "Clip")
        x = facts.input_of(inner, 0) if inner is not None else None
        if between is None or inner is None or x is None:
            return None
        first, second = _clip.bounds(inner), _clip.bounds(node)
        if first is None or second is None:
            return None
        return Match(x, between, second.after(first), node)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One Clip."""
        return [_clip.clip(tape, m.x, m.bounds, m.outer.name)]
