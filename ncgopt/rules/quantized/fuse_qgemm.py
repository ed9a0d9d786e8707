"""Dense layers of integers."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.quantized._parameters import Parameters, are_along
from ncgopt.rules.quantized._products import PRODUCT_TYPES, SINGLE_SIDES, UNSIGNED, bias_fits
from ncgopt.rules.quantized._sites import FLOAT_SCALES, SOLE_USER, Site, site
from ncgopt.settings import Target


class FuseQgemm(Rule[Site]):
    """`QuantizeLinear(Gemm(DequantizeLinear(a), DequantizeLinear(b), DequantizeLinear(c)))` becomes `QGemm`.

    What ONNX Runtime makes of it itself when it loads a model; see `fuse-qlinear-conv` about
    rounding and 16-bit sums.
    """

    name = "fuse-qgemm"
    claim = Claim.ROUNDS
    root = "QuantizeLinear"
    since_opset = 10
    targets = frozenset({Target.ONNXRUNTIME})
    requires = (
        PRODUCT_TYPES,
        FLOAT_SCALES,
        SINGLE_SIDES,
        Requires[Site](
            "scale-per-column",
            "the kernel takes a vector along the columns of the product",
            lambda m: are_along(m.inputs[1].by, m.inputs[1].q, 0 if facts.int_attribute(m.node, "transB") else 1),
        ),
        Requires[Site](
            "scale-like-zero-point",
            "the kernel takes both as scalars, or both as vectors",
            lambda m: _are_alike(m.inputs[1].by),
        ),
        Requires[Site](
            "bias-scale",
            "the kernel adds the bias to the sum of products as it is",
            lambda m: bias_fits(m, facts.float_attribute(m.node, "alpha") or 0.0),
        ),
        Requires[Site](
            "plain-bias",
            "the kernel knows no beta",
            lambda m: len(m.inputs) < 3 or facts.float_attribute(m.node, "beta") == 1.0,
        ),
    )
    pays = (SOLE_USER, UNSIGNED)

    def match(self, node: ir.Node) -> Site | None:
        """Bind the Gemm, both sides and the bias."""
        return site(node, "Gemm")

    def build(self, tape: Tape, m: Site) -> Sequence[ir.Value]:
        """One QGemm."""
        a, b = m.inputs[:2]
        bias = m.inputs[2].q if len(m.inputs) > 2 else None
        inputs = [*a.triple(tape), *b.triple(tape), bias, *m.out.pair(tape)]
        attributes = {name: x.value for name, x in m.node.attributes.items() if name != "beta"}
        return [tape.op("QGemm", inputs, attributes, domain="com.microsoft")]


def _are_alike(by: Parameters) -> bool:
    if by.is_scalar or by.zero_point is None:
        return True
    shape = facts.static(by.scale)
    return shape is not None and shape == facts.static(by.zero_point)
