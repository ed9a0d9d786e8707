"""Average integers as they are."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.quantized._sites import FLOAT_SCALES, ONE_TYPE, PER_TENSOR, SOLE_USER, Site, site
from ncgopt.settings import Target

# What the kernel of QLinearAveragePool reads.
_ATTRIBUTES = frozenset({"auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides"})


class FuseQlinearPool(Rule[Site]):
    """`AveragePool` or `GlobalAveragePool` of dequantized integers, quantized, becomes `QLinear...`.

    The kernels add up in float32 or int32 and round once (ONNX Runtime, qlinear_pool.cc and
    qlinear_global_average_pool.cc).
    """

    name = "fuse-qlinear-pool"
    claim = Claim.ROUNDS
    root = "QuantizeLinear"
    since_opset = 10
    targets = frozenset({Target.ONNXRUNTIME})
    requires = (
        ONE_TYPE,
        FLOAT_SCALES,
        PER_TENSOR,
        Requires[Site](
            "known-attributes", "the kernel knows no dilations", lambda m: _ATTRIBUTES.issuperset(m.node.attributes)
        ),
    )
    pays = (SOLE_USER,)

    def match(self, node: ir.Node) -> Site | None:
        """Bind the pooling and its input."""
        return site(node, "AveragePool", "GlobalAveragePool")

    def build(self, tape: Tape, m: Site) -> Sequence[ir.Value]:
        """One pooling, its attributes kept."""
        inputs = [*m.inputs[0].triple(tape), *m.out.pair(tape)]
        attributes = {name: a.value for name, a in m.node.attributes.items()}
        return [tape.op(f"QLinear{m.node.op_type}", inputs, attributes, domain="com.microsoft")]
