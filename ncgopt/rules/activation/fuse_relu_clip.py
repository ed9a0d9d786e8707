"""Let a Clip do what the Relu beside it does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Rule, Tape
from ncgopt.rules.activation import _clip

_RELU = _clip.Bounds(_clip.Bound(0), _clip.Bound(math.inf))


@record
class Match:
    """`out = Clip(Relu(x))` or `out = Relu(Clip(x))`, and the bounds that do the same at once."""

    x: ir.Value
    between: ir.Value
    bounds: _clip.Bounds
    outer: ir.Node


class FuseReluClip(Rule[Match]):
    """`Clip(Relu(x), a, b)` and `Relu(Clip(x, a, b))` become `Clip(x, max(a, 0), max(b, 0))`.

    A Relu is a Clip at 0 and infinity, but for the sign of a zero: whether -0.0 comes out as 0.0
    differs between the two operators and between implementations of each, hence not EXACT.
    """

    name = "fuse-relu-clip"
    claim = Claim.ROUNDS
    root = ("Clip", "Relu")
    since_opset = 6
    unconditional = "a Relu clips at 0 and infinity, and clipping twice is clipping once at other bounds"
    pays = (Pays[Match]("sole-user", "both are computed all the same", lambda m: facts.sole_user(m.between)),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind the input of the inner operator where the bounds and the element type are known."""
        between = facts.input_of(node, 0)
        inner = facts.producer(between, "Relu" if node.op_type == "Clip" else "Clip")
        x = facts.input_of(inner, 0) if inner is not None else None
        if between is None or inner is None or x is None or facts.dtype(x) is None:
            return None
        clipped = _clip.bounds(node if node.op_type == "Clip" else inner)
        if clipped is None:
            return None
        bounds = clipped.after(_RELU) if node.op_type == "Clip" else _RELU.after(clipped)
        return Match(x, between, bounds, node)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One Clip."""
        return [_clip.clip(tape, m.x, m.bounds, m.outer.name)]
