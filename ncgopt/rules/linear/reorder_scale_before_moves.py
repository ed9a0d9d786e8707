"""Scale the output of a layer before it is moved, where the layer's weights can take the factor in."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.linear._dense import dense_at

_MOVES = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten")
_MAX_MOVES = 8  # PyTorch's scaled_dot_product_attention comes to five
_NORMALIZATIONS = ("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")


@record
class Match:
    """`scale` multiplies, or divides, what `moves` made of `source`, in the order from the source on."""

    source: ir.Value
    moves: tuple[ir.Node, ...]
    factor: ir.Value
    scale: ir.Node

    @property
    def moved(self) -> ir.Value:
        """What is scaled."""
        return self.moves[-1].outputs[0]


class ReorderScaleBeforeMoves(Rule[Match]):
    """`Transpose(Reshape(x W + b)) * s` becomes `Transpose(Reshape((x W + b) * s))`, s a number.

    Elements are moved, not changed, so that each is multiplied all the same; the weights then take the
    factor in (`fold-matmul-scale`, `fuse-layer-normalization-affine`). Exporters write the scale of an
    attention that way, half of it on the queries and half on the keys.
    """

    name = "reorder-scale-before-moves"
    claim = Claim.EXACT
    root = ("Mul", "Div")
    since_opset = 7
    requires = (
        Requires[Match](
            "no-broadcast",
            "a factor of rank one makes a vector of a scalar",
            lambda m: facts.rank(m.factor) == 0 or (facts.rank(m.moved) or 0) >= (facts.rank(m.factor) or 0),
        ),
        Requires[Match](
            "fits-source",
            "a factor of higher rank than the source enlarges it",
            lambda m: facts.rank(m.factor) == 0 or (facts.rank(m.source) or 0) >= (facts.rank(m.factor) or 0),
        ),
    )
    pays = (
        Pays[Match](
            "sole-users",
            "the layer would be moved twice",
            lambda m: all(facts.sole_user(v) for v in (m.source, *(move.outputs[0] for move in m.moves))),
        ),
        Pays[Match]("foldable", "no weights take the factor in", lambda m: _is_foldable(m)),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the factor, the operators that move, and what they move."""
        a, b = node.inputs
        for moved, factor in ((a, b), (b, a)) if node.op_type == "Mul" else ((a, b),):
            if factor is None or facts.scalar(factor) is None or not facts.is_float(factor):
                continue
            moves: list[ir.Node] = []
            value = moved
            while len(moves) < _MAX_MOVES and (move := producer_beside(value, node, *_MOVES)) is not None:
                moves.append(move)
                value = facts.input_of(move, 0)
            if value is not None and moves:
                return Match(value, tuple(reversed(moves)), factor, node)
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The same operators, the scale first."""
        value = tape.like(m.scale, [m.source if v is m.moved else v for v in m.scale.inputs])
        for move in m.moves:
            value = tape.like(move, [value, *move.inputs[1:]])
        return [value]


def _is_foldable(m: Match) -> bool:
    layer = dense_at(m.source, m.scale)
    if layer is not None:
        return layer.is_private and layer.row is not None and facts.sole_user(layer.weight)
    norm = producer_beside(m.source, m.scale, *_NORMALIZATIONS)
    return norm is not None and all(v is None or facts.is_constant(v) for v in norm.inputs[1:])
