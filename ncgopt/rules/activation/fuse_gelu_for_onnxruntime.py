"""Fuse a GELU written in pieces into ONNX Runtime's own operators."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.activation import _gelu
from ncgopt.rules.activation._gelu import Match
from ncgopt.settings import Target

_STANDARD_SINCE = 20


class FuseGeluForOnnxruntime(Rule[Match]):
    """What `fuse-gelu` finds becomes `com.microsoft` `FastGelu` where it uses tanh, else `Gelu` before opset 20.

    Both work at any opset, and ONNX Runtime's FastGelu takes two thirds of the time of its Gelu with
    `approximate="tanh"`.
    """

    name = "fuse-gelu-for-onnxruntime"
    claim = Claim.ROUNDS
    root = ("Mul", "Div", "Add")
    since_opset = 7
    targets = frozenset({Target.ONNXRUNTIME})
    requires = _gelu.REQUIRES
    pays = _gelu.PAYS

    def match(self, node: ir.Node) -> Match | None:
        """Bind x, and everything between it and the result."""
        found = _gelu.match(node)
        return found if found is not None and (found.tanh or (node.version or 1) < _STANDARD_SINCE) else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One FastGelu or Gelu."""
        return [tape.op("FastGelu" if m.tanh else "Gelu", [m.x], domain="com.microsoft")]
