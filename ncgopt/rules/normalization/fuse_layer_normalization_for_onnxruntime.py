"""Fuse a layer normalization written in pieces into the operator that ONNX Runtime knows at every opset."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.normalization import _moments, _statistics
from ncgopt.rules.normalization._statistics import Match
from ncgopt.settings import Target

_STANDARD_SINCE = 17


class FuseLayerNormalizationForOnnxruntime(Rule[Match]):
    """What `fuse-layer-normalization` finds becomes `LayerNormalization` before opset 17 as well.

    ONNX Runtime has had the operator in the default domain, at every opset, since before ONNX had it
    (onnxruntime/core/graph/contrib_ops/contrib_defs.cc); its own optimizer writes it into such models.
    """

    name = "fuse-layer-normalization-for-onnxruntime"
    claim = Claim.ROUNDS
    root = ("Div", "Mul")
    since_opset = 7
    targets = frozenset({Target.ONNXRUNTIME})
    requires = _statistics.REQUIRES
    pays = _statistics.PAYS

    def match(self, node: ir.Node) -> Match | None:
        """Bind what is normalized."""
        return _moments.centered(node) if (node.version or 1) < _STANDARD_SINCE else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One LayerNormalization with a scale of one."""
        return [_statistics.build(tape, m, "LayerNormalization")]
