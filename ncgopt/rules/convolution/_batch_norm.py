"""BatchNormalization after a convolution: what both kinds of convolution have in common."""

from __future__ import annotations

import functools

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import BatchNorm, batch_norm
from ncgopt.facts.constants import Array
from ncgopt.facts.rounding import representable
from ncgopt.records import record
from ncgopt.rewrite import Pays, Requires, Tape
from ncgopt.rules.convolution._convolution import Convolution, convolution_at


@record
class Match:
    """A convolution with constant weights, and the BatchNormalization of its output."""

    layer: Convolution
    norm: BatchNorm

    @functools.cached_property
    def weights(self) -> Array:
        """The weights with each output channel scaled, in float64."""
        return self.layer.scaled(self.norm.factor)

    @functools.cached_property
    def bias(self) -> Array:
        """The bias scaled and moved, in float64."""
        with np.errstate(all="ignore"):
            return self.layer.addend * self.norm.factor + self.norm.addend

    @property
    def finite(self) -> bool:
        """Whether the folded constants fit the type of the weights."""
        stored = self.layer.weights
        return stored is not None and all(representable(c, stored.dtype) for c in (self.weights, self.bias))


REQUIRES = (
    Requires[Match]("inference-mode", "training normalizes by the batch", lambda m: m.norm.inference),
    Requires[Match](
        "one-parameter-per-channel", "weights have one factor per channel", lambda m: m.norm.serves(m.layer.channels)
    ),
    Requires[Match](
        "representable", "variance + epsilon not positive, or the product overflows", lambda m: m.finite, costly=True
    ),
)
PAYS = (
    Pays[Match]("sole-user", "the convolution would be computed twice", lambda m: facts.sole_user(m.layer.out)),
    Pays[Match]("sole-user-weight", "shared weights would be stored twice", lambda m: facts.sole_user(m.layer.weight)),
)


def match(node: ir.Node, op_type: str) -> Match | None:
    """Bind the BatchNormalization `node` and the convolution it reads."""
    norm = batch_norm(node)
    layer = convolution_at(norm.x, node, op_type) if norm is not None else None
    return Match(layer, norm) if norm is not None and layer is not None and layer.weights is not None else None


def build(tape: Tape, m: Match) -> list[ir.Value | None]:
    """The convolution with folded weights and bias."""
    return [m.layer.rebuilt(tape, m.weights, m.bias), *[None] * (len(m.norm.node.outputs) - 1)]
