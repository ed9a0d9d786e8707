"""Average integers as they are."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.quantized._sites import FLOAT_SCALES, ONE_TYPE, PER_TENSOR, SOLE_USER, Site, site
from ncgopt.settings import Target

# What the kernel of QLinearAveragePool reads.
_ATTRIBUTES = frozenset({"auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides"})


# The kernel refuses a scale from 2^8 on or below 2^-32, once it is divided by the other and by up to 2^24 elements.
_LEAST, _GREATEST = 2.0**-8, 2.0**8


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
        Requires[Site](
            "scales-in-range",
            "GlobalAveragePool's kernel refuses scales too far apart",
            lambda m: m.node.op_type == "AveragePool" or _in_range(m),
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


def _in_range(m: Site) -> bool:
    """Whether both scales are known, and their quotient is one that the kernel takes for any image."""
    x, y = facts.constant(m.inputs[0].by.scale), facts.constant(m.out.scale)
    if x is None or y is None or not x.size or not y.size or not (y > 0).all():
        return False
    return bool(_LEAST * float(y.max()) <= float(x.min()) and float(x.max()) < _GREATEST * float(y.min()))
