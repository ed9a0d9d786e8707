"""Leave integers as they are that are dequantized and quantized again the same way."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.quantized._parameters import Parameters, invertible, parameters, same_parameters


@record
class Match:
    """`out = QuantizeLinear(DequantizeLinear(q, *before), *after)`."""

    q: ir.Value
    before: Parameters
    after: Parameters


class EliminateDequantizeQuantize(Rule[Match]):
    """`QuantizeLinear(DequantizeLinear(q))` becomes `q`, where both have the same scales and zero points.

    With d = q - zero_point, |d| < 2^16: fl(d * scale) and the division of that by the scale each
    err by half a unit in the last place of float32, so what is rounded lies within
    2^16 * 2^-23 < 1/2 of the integer d. It needs a scale whose multiples neither overflow nor vanish.
    """

    name = "eliminate-dequantize-quantize"
    claim = Claim.EXACT
    root = "QuantizeLinear"
    since_opset = 10
    requires = (
        Requires[Match]("same-parameters", "the integers would change", lambda m: same_parameters(m.before, m.after)),
        Requires[Match]("invertible", "rounding or overflow would lose the integers", lambda m: invertible(m.before)),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind what is dequantized."""
        dequantize, after = producer_beside(node.inputs[0], node, "DequantizeLinear"), parameters(node)
        before = parameters(dequantize) if dequantize is not None else None
        if dequantize is None or dequantize.inputs[0] is None or before is None or after is None:
            return None
        return Match(dequantize.inputs[0], before, after)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The integers."""
        return [m.q]
