"""Quantize where the product is computed."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Rule, Tape
from ncgopt.settings import Target


@record
class Match:
    """`out = MatMulIntegerToFloat(DynamicQuantizeLinear(x), b, ...)`."""

    quantize: ir.Node
    product: ir.Node
    x: ir.Value


class FuseDynamicQuantizeMatmul(Rule[Match]):
    """`DynamicQuantizeLinear` and `MatMulIntegerToFloat` become ONNX Runtime's `DynamicQuantizeMatMul`.

    Both quantize with the same functions of ONNX Runtime, so the integers are the same.
    """

    name = "fuse-dynamic-quantize-matmul"
    claim = Claim.ROUNDS
    root = "com.microsoft::MatMulIntegerToFloat"
    targets = frozenset({Target.ONNXRUNTIME})
    unconditional = "the operator is defined as what the two do one after the other"
    pays = (
        Pays[Match](
            "sole-user",
            "what several products use would be quantized for each of them",
            lambda m: not any(facts.other_users(v, m.product) for v in m.quantize.outputs),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the quantization whose three results the product uses, each in its place."""
        quantize = producer_beside(node.inputs[0], node, "DynamicQuantizeLinear")
        if quantize is None or quantize.inputs[0] is None:
            return None
        own = (node.inputs[0], node.inputs[2], facts.input_of(node, 4))
        if any(a is not b for a, b in zip(own, quantize.outputs, strict=True)):
            return None
        return Match(quantize, node, quantize.inputs[0])

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One DynamicQuantizeMatMul."""
        inputs = [m.x, *(facts.input_of(m.product, k) for k in (1, 3, 5, 6))]
        return [tape.op("DynamicQuantizeMatMul", inputs, domain="com.microsoft")]
