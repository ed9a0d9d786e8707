"""Multiply matrices of integers."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.quantized._parameters import are_along
from ncgopt.rules.quantized._products import PRODUCT_TYPES, SINGLE_SIDES, UNSIGNED
from ncgopt.rules.quantized._sites import FLOAT_SCALES, SOLE_USER, Site, site
from ncgopt.settings import Target


class FuseQlinearMatmul(Rule[Site]):
    """`QuantizeLinear(MatMul(DequantizeLinear(a), DequantizeLinear(b)))` becomes `QLinearMatMul`.

    What ONNX Runtime makes of it itself when it loads a model; see `fuse-qlinear-conv` about
    rounding and 16-bit sums.
    """

    name = "fuse-qlinear-matmul"
    claim = Claim.ROUNDS
    root = "QuantizeLinear"
    since_opset = 10
    targets = frozenset({Target.ONNXRUNTIME})
    requires = (
        PRODUCT_TYPES,
        FLOAT_SCALES,
        SINGLE_SIDES,
        Requires[Site](
            "scale-per-column", "the kernel takes a vector along the columns", lambda m: is_along_columns(m)
        ),
    )
    pays = (SOLE_USER, UNSIGNED)

    def match(self, node: ir.Node) -> Site | None:
        """Bind the MatMul and both sides."""
        return site(node, "MatMul")

    def build(self, tape: Tape, m: Site) -> Sequence[ir.Value]:
        """One QLinearMatMul."""
        inputs = [v for x in m.inputs for v in x.triple(tape)]
        return [tape.op("QLinearMatMul", [*inputs, *m.out.pair(tape)])]


def is_along_columns(m: Site) -> bool:
    """Whether the second side has one scale, or is a matrix with one per column."""
    b = m.inputs[1]
    return b.by.is_single or (facts.rank(b.q) == 2 and are_along(b.by, b.q, 1))
