"""Fuse a root mean square normalization written in pieces into ONNX Runtime's own operator."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.normalization import _moments, _statistics
from ncgopt.rules.normalization._statistics import Match
from ncgopt.settings import Target

_STANDARD_SINCE = 23


class FuseSimplifiedLayerNormalization(Rule[Match]):
    """What `fuse-rms-normalization` finds becomes `SimplifiedLayerNormalization` before opset 23.

    ONNX Runtime has this operator in the default domain, at every opset
    (onnxruntime/core/graph/contrib_ops/contrib_defs.cc).
    """

    name = "fuse-simplified-layer-normalization"
    claim = Claim.ROUNDS
    root = ("Div", "Mul")
    since_opset = 7
    targets = frozenset({Target.ONNXRUNTIME})
    requires = _statistics.REQUIRES
    pays = _statistics.PAYS

    def match(self, node: ir.Node) -> Match | None:
        """Bind what is normalized."""
        return _moments.not_centered(node) if (node.version or 1) < _STANDARD_SINCE else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One SimplifiedLayerNormalization with a scale of one."""
        return [_statistics.build(tape, m, "SimplifiedLayerNormalization")]
