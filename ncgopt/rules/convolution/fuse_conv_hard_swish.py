"""Fuse a HardSwish into the convolution before it."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.interior import is_closed
from ncgopt.rewrite import Claim, Pays, Rule, Tape
from ncgopt.rules.convolution import _fused_conv
from ncgopt.rules.convolution._fused_conv import Activation, Match
from ncgopt.runtime.release import release
from ncgopt.settings import Target

_SINCE = (1, 30)  # tried with 1.29 and 1.30
_SLOPE, _OFFSET = 1 / 6, 0.5
_TOLERANCE = 1e-6  # a sixth is rounded to float32, often after being written with seven digits


class FuseConvHardSwish(Rule[Match]):
    """`c * HardSigmoid(c, 1/6, 1/2)` of `c = Conv(x, W, b)` becomes `FusedConv(x, W, b, activation="HardSwish")`.

    Also of the operator HardSwish. ONNX Runtime does not form this itself: it leaves the HardSigmoid
    and the product as two passes over the result. Its FusedConv knows HardSwish since release 1.30;
    where an older one is installed, the rule stays silent.
    """

    name = "fuse-conv-hard-swish"
    claim = Claim.ROUNDS
    root = ("Mul", "HardSwish")
    since_opset = 7
    targets = frozenset({Target.ONNXRUNTIME})
    closing = True
    unconditional = _fused_conv.UNCONDITIONAL
    pays = (
        Pays[Match](
            "sole-users",
            "the convolution would be computed twice",
            lambda m: is_closed((m.conv, *m.nodes), m.root),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the Conv that is multiplied by its own HardSigmoid."""
        if release() < _SINCE:
            return None
        if node.op_type == "HardSwish":
            conv = _fused_conv.conv_at(node.inputs[0], node)
            return None if conv is None else Match(conv, Activation("HardSwish"), (node,), node)
        a, b = node.inputs
        for x, factor in ((a, b), (b, a)):
            conv, gate = _fused_conv.conv_at(x, node), producer_beside(factor, node, "HardSigmoid")
            if conv is not None and gate is not None and gate.inputs[0] is x and _is_gate(gate):
                return Match(conv, Activation("HardSwish"), (gate, node), node)
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One FusedConv."""
        return _fused_conv.build(tape, m)


def _is_gate(node: ir.Node) -> bool:
    alpha, beta = facts.float_attribute(node, "alpha"), facts.float_attribute(node, "beta")
    if alpha is None or beta is None:
        return False
    return abs(alpha / _SLOPE - 1) <= _TOLERANCE and abs(beta / _OFFSET - 1) <= _TOLERANCE
