"""Fuse an activation other than Relu into the Gemm before it."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.linear import _fused_gemm
from ncgopt.rules.linear._fused_gemm import Match
from ncgopt.settings import Target


class FuseGemmActivation(Rule[Match]):
    """`Tanh(Gemm(a, b, c))` becomes ONNX Runtime's `FusedGemm(a, b, c, activation="Tanh")`.

    The same for Sigmoid, Softplus, LeakyRelu, Elu, HardSigmoid and ThresholdedRelu, their parameters
    as `activation_alpha` and `activation_beta`. The kernel works on blocks of rows, where vectorized
    functions may round the last elements otherwise than in one long run.
    """

    name = "fuse-gemm-activation"
    claim = Claim.ROUNDS
    root = ("Tanh", "Sigmoid", "Softplus", "LeakyRelu", "Elu", "HardSigmoid", "ThresholdedRelu")
    since_opset = 7
    targets = frozenset({Target.ONNXRUNTIME})
    requires = _fused_gemm.REQUIRES
    pays = _fused_gemm.PAYS

    def match(self, node: ir.Node) -> Match | None:
        """Bind the Gemm, and the parameters of both."""
        return _fused_gemm.match(node)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One FusedGemm."""
        return _fused_gemm.build(tape, m)
