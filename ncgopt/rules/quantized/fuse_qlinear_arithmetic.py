"""Add or multiply integers as they are."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.quantized._sites import FLOAT_SCALES, ONE_TYPE, PER_TENSOR, SOLE_USER, Site, site
from ncgopt.settings import Target


class FuseQlinearArithmetic(Rule[Site]):
    """`QuantizeLinear(DequantizeLinear(a) + DequantizeLinear(b))` becomes `QLinearAdd`, a product `QLinearMul`.

    The kernels compute the same in float32, with the scales divided first (ONNX Runtime, qladd.cpp
    and qlmul.cpp): a sum that lies in the middle between two integers may be rounded to the other.
    """

    name = "fuse-qlinear-arithmetic"
    claim = Claim.ROUNDS
    root = "QuantizeLinear"
    since_opset = 10
    targets = frozenset({Target.ONNXRUNTIME})
    requires = (ONE_TYPE, FLOAT_SCALES, PER_TENSOR)
    pays = (SOLE_USER,)

    def match(self, node: ir.Node) -> Site | None:
        """Bind the Add or Mul and its two inputs."""
        return site(node, "Add", "Mul")

    def build(self, tape: Tape, m: Site) -> Sequence[ir.Value]:
        """One QLinearAdd or QLinearMul."""
        inputs = [v for x in m.inputs for v in x.triple(tape)]
        inputs += m.out.pair(tape)
        return [tape.op(f"QLinear{m.node.op_type}", inputs, domain="com.microsoft")]
