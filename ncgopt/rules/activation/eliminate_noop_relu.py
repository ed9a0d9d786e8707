"""Remove a Relu of what is never negative."""

from __future__ import annotations

import math
from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.activation import _clip

# Operators that move elements without changing them or adding others.
_MOVES = (
    "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Gather", "Expand", "Tile",
)  # fmt: skip
_MAX_MOVES = 8  # between two activations there are hardly ever more than two
_NON_NEGATIVE = ("Relu", "Sigmoid", "HardSigmoid", "Softplus", "Softmax", "Exp", "Abs", "ThresholdedRelu", "Clip")


@record
class Match:
    """`out = Relu(x)`, where the elements of x come from `source`."""

    x: ir.Value
    source: ir.Node


class EliminateNoopRelu(Rule[Match]):
    """`Relu(x)` becomes `x` where x comes from Relu, Sigmoid, Softmax, Exp or the like, perhaps moved in between.

    Numbers that are not negative pass, NaN passes, and -0.0 comes out of none of these, except out
    of an earlier Relu, which does with it what the later one would. Sqrt stays: its -0.0 may become 0.0.
    """

    name = "eliminate-noop-relu"
    claim = Claim.EXACT
    root = "Relu"
    since_opset = 6
    requires = (
        Requires[Match]("non-negative", "a negative number or -0.0 becomes 0", lambda m: _is_non_negative(m.source)),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the input and the activation that its elements come from."""
        x = facts.input_of(node, 0)
        source = facts.producer(x)
        for _ in range(_MAX_MOVES):
            if source is None or source.domain or source.op_type not in _MOVES:
                break
            source = facts.producer(facts.input_of(source, 0))
        if x is None or source is None or source.domain or source.op_type not in _NON_NEGATIVE:
            return None
        return Match(x, source)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input itself."""
        return [m.x]


def _is_non_negative(source: ir.Node) -> bool:
    match source.op_type:
        case "Abs":  # of the smallest integer is that integer
            return facts.is_float(source.outputs[0])
        case "ThresholdedRelu":
            alpha = facts.float_attribute(source, "alpha")
            return alpha is not None and alpha >= 0
        case "HardSigmoid":  # -0.0 + -0.0 is -0.0, and which zero the larger of -0.0 and 0 is, is not specified
            beta = facts.float_attribute(source, "beta")
            return beta is not None and math.copysign(1, beta) > 0 and not math.isnan(beta)
        case "Clip":
            bounds = _clip.bounds(source)
            return bounds is not None and bounds.low.number > 0
        case _:
            return True
