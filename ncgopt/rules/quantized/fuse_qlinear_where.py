"""Choose among integers of two scales."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.quantized._sites import FLOAT_SCALES, ONE_TYPE, PER_TENSOR, SOLE_USER, Site, are_constant, site
from ncgopt.settings import Target


class FuseQlinearWhere(Rule[Site]):
    """`QuantizeLinear(Where(condition, DequantizeLinear(a), DequantizeLinear(b)))` becomes `QLinearWhere`.

    The kernel looks both up, in tables that it makes by dequantizing and quantizing (ONNX Runtime,
    qlinear_where.cc).
    """

    name = "fuse-qlinear-where"
    claim = Claim.ROUNDS
    root = "QuantizeLinear"
    since_opset = 10
    targets = frozenset({Target.ONNXRUNTIME})
    requires = (ONE_TYPE, FLOAT_SCALES, PER_TENSOR)
    pays = (SOLE_USER,)

    def match(self, node: ir.Node) -> Site | None:
        """Bind the Where and both branches, if all parameters are known: the kernel crashes where one is fed."""
        m = site(node, "Where", skip=1)
        return m if m is not None and are_constant(m) else None

    def build(self, tape: Tape, m: Site) -> Sequence[ir.Value]:
        """One QLinearWhere."""
        inputs = [m.node.inputs[0], *(v for x in m.inputs for v in x.triple(tape))]
        return [tape.op("QLinearWhere", [*inputs, *m.out.pair(tape)], domain="com.microsoft")]
