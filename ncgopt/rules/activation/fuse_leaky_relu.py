"""Fuse a leaky Relu written with a condition, or with a slope per channel, into the operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.interior import is_closed
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape

_SERVED = frozenset({ir.DataType.FLOAT})  # ONNX Runtime 1.32 has no other LeakyRelu on CPUs


@record
class Match:
    """`root` is x where x is not negative, and `alpha x` elsewhere; `constants` take part in computing it."""

    x: ir.Value
    alpha: float
    constants: tuple[ir.Value, ...]
    nodes: tuple[ir.Node, ...]
    root: ir.Node

    @property
    def keeps_shape(self) -> bool:
        """Whether no constant enlarges x."""
        rank = facts.rank(self.x)
        ranks = [facts.rank(c) for c in self.constants]
        return all(r == 0 or (r is not None and rank is not None and r <= rank) for r in ranks)


class FuseLeakyRelu(Rule[Match]):
    """`Where(x < 0, x * alpha, x)` becomes `LeakyRelu(x)`, and so does a PRelu with one slope for all elements.

    ONNX Runtime 1.32 takes 9 to 14 times as long for the pieces, and fuses the operator into a convolution
    before it, which it does not do with a PRelu.
    """

    name = "fuse-leaky-relu"
    claim = Claim.ROUNDS
    root = ("Where", "PRelu")
    since_opset = 7
    requires = (Requires[Match]("no-broadcast", "a constant of higher rank enlarges x", lambda m: m.keeps_shape),)
    pays = (
        Pays[Match](
            "sole-users", "intermediate values would be computed on their own too", lambda m: is_closed(m.nodes, m.root)
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind x and the slope."""
        found = _of_prelu(node) if node.op_type == "PRelu" else _of_where(node)
        return found if found is not None and facts.dtype(found.x) in _SERVED else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One LeakyRelu."""
        return [tape.op("LeakyRelu", [m.x], {"alpha": m.alpha})]


def _of_prelu(node: ir.Node) -> Match | None:
    x, slope = node.inputs
    alpha = cast("float | None", facts.scalar(slope)) if slope is not None else None
    return Match(x, alpha, (slope,), (), node) if x is not None and slope is not None and alpha is not None else None


def _of_where(node: ir.Node) -> Match | None:
    condition, scaled, x = node.inputs
    less, mul = producer_beside(condition, node, "Less"), producer_beside(scaled, node, "Mul")
    if less is None or mul is None or x is None or less.inputs[0] is not x:
        return None
    zero = less.inputs[1]
    slopes = [v for v in mul.inputs if v is not x and v is not None]
    alpha = cast("float | None", facts.scalar(slopes[0])) if len(slopes) == 1 else None
    if zero is None or facts.scalar(zero) != 0 or alpha is None:
        return None
    return Match(x, alpha, (zero, slopes[0]), (less, mul), node)
