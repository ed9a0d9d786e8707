"""Look activations of integers up."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.quantized._sites import FLOAT_SCALES, ONE_TYPE, PER_TENSOR, SOLE_USER, Site, site
from ncgopt.settings import Target


class FuseQlinearActivation(Rule[Site]):
    """`QuantizeLinear(Sigmoid(DequantizeLinear(x)))` becomes `QLinearSigmoid`; LeakyRelu the same.

    The kernels do all three steps once for each of the 256 integers and look them up (ONNX Runtime,
    qlinear_activations.cc).
    """

    name = "fuse-qlinear-activation"
    claim = Claim.ROUNDS
    root = "QuantizeLinear"
    since_opset = 10
    targets = frozenset({Target.ONNXRUNTIME})
    requires = (ONE_TYPE, FLOAT_SCALES, PER_TENSOR)
    pays = (SOLE_USER,)

    def match(self, node: ir.Node) -> Site | None:
        """Bind the activation and its input."""
        m = site(node, "Sigmoid", "LeakyRelu")
        if m is None or (m.node.op_type == "LeakyRelu" and facts.float_attribute(m.node, "alpha") is None):
            return None
        return m

    def build(self, tape: Tape, m: Site) -> Sequence[ir.Value]:
        """One lookup."""
        inputs = [*m.inputs[0].triple(tape), *m.out.pair(tape)]
        alpha = facts.float_attribute(m.node, "alpha") if m.node.op_type == "LeakyRelu" else None
        attributes = {} if alpha is None else {"alpha": alpha}
        return [tape.op(f"QLinear{m.node.op_type}", inputs, attributes, domain="com.microsoft")]
