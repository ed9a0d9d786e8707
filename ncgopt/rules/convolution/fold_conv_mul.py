"""Fold a multiplication by a constant per channel into the weights of a convolution."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import per_channel
from ncgopt.facts.constants import Array
from ncgopt.facts.rounding import representable
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.convolution._convolution import Convolution, convolution_at


@record
class Match:
    """`out = layer * constant`, or divided by it."""

    layer: Convolution
    constant: ir.Value
    divides: bool

    @functools.cached_property
    def factor(self) -> Array | None:
        """What each channel is multiplied by, in float64."""
        found = per_channel(self.constant, self.layer.shape, 1)
        with np.errstate(divide="ignore"):
            return 1 / found if found is not None and self.divides else found

    @functools.cached_property
    def folded(self) -> tuple[Array, Array]:
        """New weights and bias in float64."""
        if self.factor is None:
            raise ValueError("the constant varies within a channel")
        with np.errstate(all="ignore"):
            return self.layer.scaled(self.factor), self.layer.addend * self.factor

    @property
    def fits(self) -> bool:
        """Whether they fit the type of the weights."""
        stored = self.layer.weights
        return stored is not None and all(representable(c, stored.dtype) for c in self.folded)


class FoldConvMul(Rule[Match]):
    """`Conv(x, W, b) * s` becomes `Conv(x, s W, s b)`, s a scalar or one number per channel; also divided by s.

    A convolution is linear in its weights and bias. Holds for ConvTranspose as well. Weights are
    computed in float64 and rounded once.
    """

    name = "fold-conv-mul"
    claim = Claim.ROUNDS
    root = ("Mul", "Div")
    since_opset = 7
    requires = (
        Requires[Match]("per-channel", "weights have one factor per channel", lambda m: m.factor is not None),
        Requires[Match]("representable", "the product overflows, or the divisor is 0", lambda m: m.fits, costly=True),
    )
    pays = (
        Pays[Match]("sole-user", "the convolution would be computed twice", lambda m: facts.sole_user(m.layer.out)),
        Pays[Match](
            "sole-user-weight", "shared weights would be stored twice", lambda m: facts.sole_user(m.layer.weight)
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the convolution and the constant; a constant divided by a convolution is not linear."""
        a, b = node.inputs
        operands = ((a, b), (b, a)) if node.op_type == "Mul" else ((a, b),)
        for y, constant in operands:
            layer = convolution_at(y, node, "Conv", "ConvTranspose")
            if layer is None or layer.weights is None or constant is None or not facts.is_constant(constant):
                continue
            return Match(layer, constant, node.op_type == "Div")
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The convolution with scaled weights and bias."""
        weights, bias = m.folded
        return [m.layer.rebuilt(tape, weights, bias if m.layer.bias is not None else None)]
