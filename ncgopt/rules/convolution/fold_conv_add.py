"""Fold an addition of a constant per channel into the bias of a convolution."""

from __future__ import annotations

import functools
from collections.abc import Sequence

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
    """`out = layer + sign * constant`."""

    layer: Convolution
    constant: ir.Value
    sign: int

    @functools.cached_property
    def addend(self) -> Array | None:
        """What is added to each channel, in float64."""
        return per_channel(self.constant, self.layer.shape, 1)

    @functools.cached_property
    def bias(self) -> Array:
        """The new bias in float64."""
        if self.addend is None:
            raise ValueError("the constant varies within a channel")
        return self.layer.addend + self.sign * self.addend

    @property
    def fits(self) -> bool:
        """Whether the new bias fits the type of the convolution."""
        stored = facts.constant(self.constant)
        return stored is not None and representable(self.bias, stored.dtype)


class FoldConvAdd(Rule[Match]):
    """`Conv(x, W, b) + c` becomes `Conv(x, W, b + c)`, c a scalar or one number per channel; also minus c.

    The bias is added to every output element after the sum of products, whatever the padding. Holds
    for ConvTranspose as well.
    """

    name = "fold-conv-add"
    claim = Claim.ROUNDS
    root = ("Add", "Sub")
    since_opset = 7
    requires = (
        Requires[Match]("per-channel", "a bias is one number per channel", lambda m: m.addend is not None),
        Requires[Match]("representable", "the sum of both biases overflows", lambda m: m.fits, costly=True),
    )
    pays = (
        Pays[Match]("sole-user", "the convolution would be computed twice", lambda m: facts.sole_user(m.layer.out)),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the convolution and the constant; a constant minus a convolution is another function."""
        a, b = node.inputs
        operands = ((a, b), (b, a)) if node.op_type == "Add" else ((a, b),)
        for y, constant in operands:
            layer = convolution_at(y, node, "Conv", "ConvTranspose")
            if layer is not None and constant is not None and facts.is_constant(constant):
                return Match(layer, constant, -1 if node.op_type == "Sub" else 1)
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The convolution with the sum as its bias."""
        return [m.layer.rebuilt(tape, None, m.bias)]
