"""Fold a scale and a shift of the channels into the weights of the convolution that reads them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import Affine, affine_at
from ncgopt.facts.constants import Array
from ncgopt.facts.rounding import representable, rounded
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.convolution._convolution import Convolution, convolution
from ncgopt.rules.convolution._geometry import geometry


@record
class Match:
    """`layer` reads `x * factor + addend`."""

    layer: Convolution
    step: Affine

    @functools.cached_property
    def folded(self) -> tuple[Array, Array]:
        """New weights and bias in float64."""
        stored = self.layer.weights
        if stored is None:
            raise ValueError("the weights are not constant")
        per_group = stored.shape[1]
        shape = (self.layer.group, 1, per_group, *[1] * (stored.ndim - 2))
        grouped = stored.astype(np.float64).reshape(self.layer.group, -1, *stored.shape[1:])
        with np.errstate(all="ignore"):
            moved = (grouped * self.step.addend.reshape(shape)).reshape(self.layer.channels, -1).sum(axis=1)
            return (grouped * self.step.factor.reshape(shape)).reshape(stored.shape), self.layer.addend + moved

    @property
    def fits(self) -> bool:
        """Whether they fit the type of the weights."""
        stored = self.layer.weights
        return stored is not None and all(representable(c, stored.dtype) for c in self.folded)

    @property
    def unpadded(self) -> bool:
        """Whether no window sees padding: zeros that the shift does not move."""
        weight = facts.static(self.layer.weight)
        found = geometry(self.layer.node, weight[2:]) if weight is not None else None
        return found is not None and not found.is_padded


class FoldAffineIntoNextConv(Rule[Match]):
    """`Conv(x * f + a, W, b)` becomes `Conv(x, f W, b + sum(a W))`, f and a a number or one per channel.

    The factor and the shift may come from a BatchNormalization at inference or from arithmetic with
    constants, one operator at a time. Padding is zero and stays zero where nothing is added. Weights
    are computed in float64 and rounded once.
    """

    name = "fold-affine-into-next-conv"
    claim = Claim.ROUNDS
    root = "Conv"
    requires = (
        Requires[Match]("padding-unmoved", "padding is not shifted", lambda m: not m.step.addend.any() or m.unpadded),
        Requires[Match]("representable", "the product overflows, or the divisor is 0", lambda m: m.fits, costly=True),
    )
    pays = (
        Pays[Match]("sole-user", "the scaled input stays anyway", lambda m: facts.sole_user(m.step.node.outputs[0])),
        Pays[Match](
            "sole-user-weight", "shared weights would be stored twice", lambda m: facts.sole_user(m.layer.weight)
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the convolution and the operator before it."""
        layer = convolution(node)
        if layer is None or layer.weights is None:
            return None
        channels, rank = layer.weights.shape[1] * layer.group, layer.weights.ndim
        step = affine_at(layer.x, node, channels, rank)
        return Match(layer, step) if step is not None else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The convolution of what was scaled."""
        weights, bias = m.folded
        dtype = facts.dtype(m.layer.weight)
        if dtype is None:
            raise ValueError("the type of the weights is not known")
        inputs = [m.step.x, tape.constant(rounded(weights, dtype.numpy()), name=m.layer.weight.name)]
        if m.layer.bias is not None or m.step.addend.any():
            name = m.layer.bias.name if m.layer.bias is not None else None
            inputs.append(tape.constant(rounded(bias, dtype.numpy()), name=name))
        return [tape.like(m.layer.node, inputs)]
