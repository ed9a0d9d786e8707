"""Convolve integers."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.quantized._parameters import are_along
from ncgopt.rules.quantized._products import BIAS_SCALE, PRODUCT_TYPES, SINGLE_SIDES, UNSIGNED, uniform_zero
from ncgopt.rules.quantized._sites import FLOAT_SCALES, SOLE_USER, Site, site
from ncgopt.settings import Target


class FuseQlinearConv(Rule[Site]):
    """`QuantizeLinear(Conv(DequantizeLinear(x), DequantizeLinear(w), DequantizeLinear(b)))` becomes `QLinearConv`.

    What ONNX Runtime makes of it itself when it loads a model. The sums are integers and exact,
    where floats round; both round the result to the nearest integer, and a sum in the middle
    between two of them may go to the other.

    On x86 without VNNI, its kernel adds two products of unsigned and signed integers in 16 bits,
    which saturates where inputs and weights are near their extremes; `reduce_range` of its
    quantization tool avoids that. Verification compares with the original in floats on this very
    machine, and does not excuse what the original does not do itself when ONNX Runtime optimizes it.
    """

    name = "fuse-qlinear-conv"
    claim = Claim.ROUNDS
    root = "QuantizeLinear"
    since_opset = 10
    targets = frozenset({Target.ONNXRUNTIME})
    requires = (
        PRODUCT_TYPES,
        FLOAT_SCALES,
        SINGLE_SIDES,
        Requires[Site](
            "scale-per-filter",
            "the kernel takes a vector along the filters",
            lambda m: are_along(m.inputs[1].by, m.inputs[1].q, 0),
        ),
        Requires[Site]("one-filter-zero-point", "the kernel takes one for all", lambda m: uniform_zero(m.inputs[1])),
        BIAS_SCALE,
    )
    pays = (SOLE_USER, UNSIGNED)

    def match(self, node: ir.Node) -> Site | None:
        """Bind the Conv, its input, filters and bias."""
        return site(node, "Conv")

    def build(self, tape: Tape, m: Site) -> Sequence[ir.Value]:
        """One QLinearConv, the attributes kept."""
        x, w = m.inputs[:2]
        bias = m.inputs[2].q if len(m.inputs) > 2 else None
        inputs = [*x.triple(tape), *w.triple(tape), *m.out.pair(tape), bias]
        return [tape.op("QLinearConv", inputs, {name: a.value for name, a in m.node.attributes.items()})]
