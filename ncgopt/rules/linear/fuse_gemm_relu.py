"""Fuse a Relu into the Gemm before it."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.linear import _fused_gemm
from ncgopt.rules.linear._fused_gemm import Match
from ncgopt.settings import Target


class FuseGemmRelu(Rule[Match]):
    """`Relu(Gemm(a, b, c))` becomes ONNX Runtime's `FusedGemm(a, b, c, activation="Relu")`.

    The kernel computes the same Gemm and applies the activation to each element of its result, while
    that is still in the cache (ONNX Runtime, contrib_ops/cpu/fused_gemm.cc).
    """

    name = "fuse-gemm-relu"
    claim = Claim.EXACT
    root = "Relu"
    since_opset = 7
    targets = frozenset({Target.ONNXRUNTIME})
    requires = _fused_gemm.REQUIRES
    pays = _fused_gemm.PAYS

    def match(self, node: ir.Node) -> Match | None:
        """Bind the Gemm and its attributes."""
        return _fused_gemm.match(node)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One FusedGemm."""
        return _fused_gemm.build(tape, m)
