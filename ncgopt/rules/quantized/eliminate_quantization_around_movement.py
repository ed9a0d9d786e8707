"""Move integers instead of the floats they stand for."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.quantized._parameters import Parameters, invertible, parameters, same_parameters
from ncgopt.rules.quantized._sites import EIGHT_BITS, Dequantized, dequantized
from ncgopt.settings import Target

# What only moves the elements of its first input; a Concat, those of all.
_MOVING = (
    "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Expand", "Slice", "Gather", "GatherElements", "Tile",
    "Concat",
)  # fmt: skip
_CHOOSING = ("MaxPool",)  # what takes the largest


@record
class Match:
    """`out = QuantizeLinear(node(DequantizeLinear(x), ...))`."""

    node: ir.Node
    moved: tuple[Dequantized, ...]
    after: Parameters


class EliminateQuantizationAroundMovement(Rule[Match]):
    """`QuantizeLinear(Transpose(DequantizeLinear(x)))` becomes `Transpose(x)`, where both have the same parameters.

    The same for Reshape, Flatten, Squeeze, Unsqueeze, Expand, Slice, Gather, GatherElements, Tile,
    Concat and MaxPool. Quantizing again gives each integer back (see `eliminate-dequantize-quantize`).
    The largest integer stands for the largest number where the scale is positive. For ONNX Runtime
    only: other runtimes want to see each operator between its own quantizations.
    """

    name = "eliminate-quantization-around-movement"
    claim = Claim.EXACT
    root = "QuantizeLinear"
    since_opset = 10
    targets = frozenset({Target.ONNXRUNTIME})
    requires = (
        Requires[Match](
            "one-scale",
            "what is moved along an axis of scales gets another",
            lambda m: m.after.is_single and m.after.dtype in EIGHT_BITS,
        ),
        Requires[Match](
            "same-parameters",
            "the integers would change",
            lambda m: all(same_parameters(x.by, m.after) for x in m.moved),
        ),
        Requires[Match]("invertible", "rounding or overflow would lose the integers", lambda m: invertible(m.after)),
        Requires[Match]("order-kept", "a negative scale makes the largest the smallest", lambda m: _keeps_order(m)),
    )
    pays = (Pays[Match]("sole-user", "it would be moved twice", lambda m: facts.sole_user(m.node.outputs[0])),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind the movement, and what is dequantized for it."""
        moving, after = producer_beside(node.inputs[0], node, *_MOVING, *_CHOOSING), parameters(node)
        if moving is None or after is None or sum(1 for v in moving.outputs if v.name or v.uses()) > 1:
            return None
        if moving.op_type in _CHOOSING and (moving.version or 1) < 12:
            return None  # no integers before
        values = moving.inputs if moving.op_type == "Concat" else moving.inputs[:1]
        moved = tuple(x for value in values if (x := dequantized(value, node)) is not None)
        return Match(moving, moved, after) if moved and len(moved) == len(values) else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The movement on integers."""
        return [tape.like(m.node, [*(x.q for x in m.moved), *m.node.inputs[len(m.moved) :]])]


def _keeps_order(m: Match) -> bool:
    scale = facts.scalar(m.after.scale)
    return m.node.op_type not in _CHOOSING or (scale is not None and scale > 0)
