"""Write the sum before a layer normalization as Sum, which ONNX Runtime leaves alone."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Rule, Tape
from ncgopt.settings import Target

_NORMALIZATIONS = ("LayerNormalization", "SimplifiedLayerNormalization", "RMSNormalization")


@record
class Match:
    """`a + b`."""

    a: ir.Value
    b: ir.Value
    out: ir.Value


class ReplaceAddBeforeNormalization(Rule[Match]):
    """`LayerNormalization(Add(a, b))` becomes `LayerNormalization(Sum(a, b))`: the same sum, under another name.

    At its extended level ONNX Runtime makes SkipLayerNormalization of the Add and the normalization.
    Its CPU kernel takes some 4.5 times as long as both one after the other (1.32, 1 thread, `make
    bench-rules`); of a whole small sentence encoder nothing was gained that could be measured. ROUNDS for the sign of
    zero alone: an implementation of Sum may start at 0.
    """

    name = "replace-add-before-normalization"
    claim = Claim.ROUNDS
    root = "Add"
    since_opset = 8
    targets = frozenset({Target.ONNXRUNTIME})
    closing = True
    unconditional = "the sum of two tensors is what Add computes, broadcasting included"
    pays = (
        Pays[Match]("normalized", "no normalization reads it", lambda m: _is_normalized(m.out)),
        Pays[Match]("floats", "the fused kernel serves floats", lambda m: facts.dtype(m.a) == ir.DataType.FLOAT),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind both operands, neither a constant: a bias is added within other fusions."""
        a, b = node.inputs
        if a is None or b is None or facts.is_constant(a) or facts.is_constant(b):
            return None
        return Match(a, b, node.outputs[0])

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One Sum."""
        return [tape.op("Sum", [m.a, m.b])]


def _is_normalized(value: ir.Value) -> bool:
    users = [use.node for use in value.uses() if use.idx == 0]
    return any(not user.domain and user.op_type in _NORMALIZATIONS for user in users)
