"""Quantize to unsigned integers what is signed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.quantized._parameters import Parameters, parameters, same_parameters
from ncgopt.settings import Target


@record
class Match:
    """`out = DequantizeLinear(QuantizeLinear(x, *there), *back)` in int8."""

    quantize: ir.Node
    dequantize: ir.Node
    x: ir.Value
    there: Parameters
    back: Parameters


class ReplaceSignedQuantization(Rule[Match]):
    """`DequantizeLinear(QuantizeLinear(x))` in int8 goes through uint8, the zero point 128 higher.

    All integers are 128 higher, also where they are cut off, so their distances from the zero point
    are the same. ONNX Runtime does so itself on x86 when it loads a model: its kernels for signed
    inputs are slow there (a MobileNetV2 of QLinearConv took 78 ms in int8, 13 ms in uint8).
    """

    name = "replace-signed-quantization"
    claim = Claim.EXACT
    root = "DequantizeLinear"
    since_opset = 10
    targets = frozenset({Target.ONNXRUNTIME})
    requires = (
        Requires[Match]("same-parameters", "the numbers would change", lambda m: same_parameters(m.there, m.back)),
    )
    pays = (Pays[Match]("only-dequantized", "others want it signed", lambda m: _only_dequantized(m)),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind the quantization to int8 whose zero point is known."""
        quantize, back = producer_beside(node.inputs[0], node, "QuantizeLinear"), parameters(node)
        there = parameters(quantize) if quantize is not None else None
        if quantize is None or back is None or there is None or quantize.inputs[0] is None:
            return None
        if there.dtype != ir.DataType.INT8 or there.zero is None or facts.static(there.scale) is None:
            return None
        if there.zero.ndim and there.zero.shape != facts.static(there.scale):
            return None  # ONNX Runtime takes a vector of one zero point beside a scalar scale
        return Match(quantize, node, quantize.inputs[0], there, back)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The same two with a zero point of uint8."""
        zero, scale = m.there.zero, facts.static(m.there.scale)
        assert zero is not None
        assert scale is not None
        point = tape.constant(np.broadcast_to(zero + 128, scale).astype(np.uint8), name="zero_point")
        unsigned = tape.op("QuantizeLinear", [m.x, m.there.scale, point], _placed(m.quantize))
        return [tape.op("DequantizeLinear", [unsigned, m.back.scale, point], _placed(m.dequantize))]


def _placed(node: ir.Node) -> dict[str, int]:
    """The attributes that say which scale belongs where; `saturate` and the type are those of integers anyway."""
    read = {name: facts.int_attribute(node, name) for name in ("axis", "block_size") if facts.is_set(node, name)}
    return {name: value for name, value in read.items() if value is not None}


def _only_dequantized(m: Match) -> bool:
    out = m.quantize.outputs[0]
    return not out.is_graph_output() and all(
        use.node.op_type == "DequantizeLinear" and use.idx == 0 and not facts.is_kept(use.node) for use in out.uses()
    )
