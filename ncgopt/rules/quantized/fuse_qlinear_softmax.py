"""Softmax of integers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.quantized._sites import FLOAT_SCALES, ONE_TYPE, PER_TENSOR, SOLE_USER, Site, site
from ncgopt.settings import Target


class FuseQlinearSoftmax(Rule[Site]):
    """`QuantizeLinear(Softmax(DequantizeLinear(x)))` becomes `QLinearSoftmax`.

    The kernel looks exponentials up and divides by the scale of the result as by a whole number, 256
    as a rule (ONNX Runtime, qlinear_softmax.cc). What the axis means, it is told by the opset of the
    original.
    """

    name = "fuse-qlinear-softmax"
    claim = Claim.ROUNDS
    root = "QuantizeLinear"
    since_opset = 10
    targets = frozenset({Target.ONNXRUNTIME})
    requires = (
        ONE_TYPE,
        FLOAT_SCALES,
        PER_TENSOR,
        Requires[Site]("whole-steps", "the kernel rounds the number of steps in one down", lambda m: _whole_steps(m)),
    )
    pays = (SOLE_USER,)

    def match(self, node: ir.Node) -> Site | None:
        """Bind the Softmax and its input."""
        m = site(node, "Softmax")
        return None if m is None or facts.int_attribute(m.node, "axis") is None else m

    def build(self, tape: Tape, m: Site) -> Sequence[ir.Value]:
        """One QLinearSoftmax."""
        axis = facts.int_attribute(m.node, "axis")
        assert axis is not None
        inputs = [*m.inputs[0].triple(tape), *m.out.pair(tape)]
        attributes = {"axis": axis, "opset": m.node.version or 13}
        return [tape.op("QLinearSoftmax", inputs, attributes, domain="com.microsoft")]


def _whole_steps(m: Site) -> bool:
    scale = facts.scalar(m.out.scale)
    if scale is None or scale <= 0:
        return False
    steps = float(np.float32(1) / np.float32(scale))
    return math.floor(steps) >= steps * (1 - 2.0**-20)
