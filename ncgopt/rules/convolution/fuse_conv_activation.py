"""Fuse an activation into the convolution before it."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.rewrite import Claim, Pays, Rule, Tape
from ncgopt.rules.convolution import _fused_conv
from ncgopt.rules.convolution._fused_conv import Match
from ncgopt.settings import Target


class FuseConvActivation(Rule[Match]):
    """`Relu(Conv(x, W, b))` becomes ONNX Runtime's `FusedConv(x, W, b, activation="Relu")`.

    The same for Sigmoid, Tanh, LeakyRelu, HardSigmoid and Clip with constant bounds, their parameters
    as `activation_params`. The kernel applies its own vectorized functions to blocks of the result.
    """

    name = "fuse-conv-activation"
    claim = Claim.ROUNDS
    root = ("Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid", "Clip")
    since_opset = 6
    targets = frozenset({Target.ONNXRUNTIME})
    closing = True
    unconditional = _fused_conv.UNCONDITIONAL
    pays = (Pays[Match]("sole-user", "the convolution would be computed twice", lambda m: facts.sole_user(m.out)),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind the Conv, if everything about it and the activation is known."""
        conv, activation = _fused_conv.conv_at(facts.input_of(node, 0), node), _fused_conv.activation_of(node)
        return Match(conv, activation, (node,), node) if conv is not None and activation is not None else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One FusedConv."""
        return _fused_conv.build(tape, m)
