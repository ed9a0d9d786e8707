"""Fold a multiplication by a constant per column into the weights of a dense layer."""

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
from ncgopt.rules.linear._dense import Dense, dense_at


@record
class Match:
    """`out = layer * constant`, or divided by it."""

    layer: Dense
    constant: ir.Value
    divides: bool

    @functools.cached_property
    def factor(self) -> Array | None:
        """What each column is multiplied by, in float64."""
        found = per_channel(self.constant, self.layer.shape, -1)
        with np.errstate(divide="ignore"):
            return 1 / found if found is not None and self.divides else found

    @functools.cached_property
    def folded(self) -> tuple[Array, Array]:
        """New weights and bias in float64."""
        if self.factor is None or self.layer.row is None:
            raise ValueError("the factor or the bias differs between rows")
        with np.errstate(all="ignore"):
            return self.layer.matrix * self.factor, self.layer.row * self.factor

    @property
    def fits(self) -> bool:
        """Whether they fit the layer's type."""
        return all(representable(c, self.layer.dtype) for c in self.folded)


class FoldMatmulScale(Rule[Match]):
    """`(x W + b) * s` becomes `x (W s) + b s`, s a scalar or one number per column; also divided by s.

    Scaling a column of the result is scaling that column of the weights and of the bias. The layer
    may be a Gemm, a MatMul or a MatMul with an Add. Weights are computed in float64 and rounded once.
    """

    name = "fold-matmul-scale"
    claim = Claim.ROUNDS
    root = ("Mul", "Div")
    since_opset = 7
    requires = (
        Requires[Match]("factor-per-column", "weights have one factor per column", lambda m: m.factor is not None),
        Requires[Match]("bias-per-column", "the bias differs between rows", lambda m: m.layer.row is not None),
        Requires[Match]("representable", "the product overflows, or the divisor is 0", lambda m: m.fits, costly=True),
    )
    pays = (
        Pays[Match](
            "sole-user",
            "the layer would be computed twice",
            lambda m: m.layer.is_private and facts.sole_user(m.layer.out),
        ),
        Pays[Match](
            "sole-user-weight", "shared weights would be stored twice", lambda m: facts.sole_user(m.layer.weight)
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the layer and the constant; a constant divided by a layer is not linear."""
        a, b = node.inputs
        operands = ((a, b), (b, a)) if node.op_type == "Mul" else ((a, b),)
        for y, constant in operands:
            layer = dense_at(y, node)
            if layer is not None and constant is not None and facts.is_constant(constant):
                return Match(layer, constant, node.op_type == "Div")
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The layer with scaled weights and bias."""
        matrix, row = m.folded
        return [m.layer.rebuilt(tape, matrix, row if m.layer.bias is not None else None)]
