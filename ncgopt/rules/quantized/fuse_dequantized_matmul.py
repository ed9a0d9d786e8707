"""Multiply matrices of integers whose product is wanted in floats."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.quantized._parameters import are_along
from ncgopt.rules.quantized._products import multiplies
from ncgopt.rules.quantized._sites import Dequantized, dequantized, is_float
from ncgopt.settings import Target


@record
class Match:
    """`out = MatMul(DequantizeLinear(a), DequantizeLinear(b))`."""

    a: Dequantized
    b: Dequantized
    out: ir.Value


class FuseDequantizedMatmul(Rule[Match]):
    """`MatMul(DequantizeLinear(a), DequantizeLinear(b))` becomes ONNX Runtime's `MatMulIntegerToFloat`.

    What ONNX Runtime makes of it itself when it loads a model, where the product is not quantized;
    see `fuse-qlinear-conv` about 16-bit sums.
    """

    name = "fuse-dequantized-matmul"
    claim = Claim.ROUNDS
    root = "MatMul"
    since_opset = 9
    targets = frozenset({Target.ONNXRUNTIME})
    requires = (
        Requires[Match](
            "multiplied-types",
            "there are kernels for some pairs of 8-bit types only",
            lambda m: multiplies(m.a.by.dtype, m.b.by.dtype),
        ),
        Requires[Match](
            "float-scales", "the kernel takes scales of float32", lambda m: is_float(m.a.by) and is_float(m.b.by)
        ),
        Requires[Match]("single-scale", "the kernel takes one scale for a", lambda m: m.a.by.is_single),
        Requires[Match](
            "scale-per-column",
            "the kernel takes a vector along the columns",
            lambda m: m.b.by.is_single or (facts.rank(m.b.q) == 2 and are_along(m.b.by, m.b.q, 1)),
        ),
    )
    pays = (
        Pays[Match](
            "unsigned-input",
            "on x86, signed inputs are slower (see replace-signed-quantization)",
            lambda m: m.a.by.dtype == ir.DataType.UINT8,
        ),
        Pays[Match](
            "not-quantized", "QLinearMatMul takes in the quantization as well", lambda m: not _leads_to_integers(m.out)
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind both sides."""
        a, b = (dequantized(value, node) for value in node.inputs)
        return Match(a, b, node.outputs[0]) if a is not None and b is not None else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One MatMulIntegerToFloat."""
        a, b = m.a.by, m.b.by
        inputs = [m.a.q, m.b.q, a.scale, b.scale, a.zero_point, b.zero_point]
        return [tape.op("MatMulIntegerToFloat", inputs, domain="com.microsoft")]


def _leads_to_integers(value: ir.Value) -> bool:
    """Whether the only user quantizes it, or clips it before somebody does."""
    uses = [use.node for use in value.uses()]
    if len(uses) != 1 or value.is_graph_output():
        return False
    user = uses[0]
    if user.op_type in ("Relu", "Clip") and not user.domain:
        return _leads_to_integers(user.outputs[0])
    return user.op_type == "QuantizeLinear" and not user.domain
