"""Put integers of several scales together."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.quantized._sites import FLOAT_SCALES, ONE_TYPE, PER_TENSOR, SOLE_USER, Site, site
from ncgopt.settings import Target


class FuseQlinearConcat(Rule[Site]):
    """`QuantizeLinear(Concat(DequantizeLinear(a), ...))` becomes `QLinearConcat`.

    The kernel copies what has the scale of the result and looks up the rest, in a table that it makes
    by dequantizing and quantizing (ONNX Runtime, qlinear_concat.cc).
    """

    name = "fuse-qlinear-concat"
    claim = Claim.ROUNDS
    root = "QuantizeLinear"
    since_opset = 10
    targets = frozenset({Target.ONNXRUNTIME})
    requires = (ONE_TYPE, FLOAT_SCALES, PER_TENSOR)
    pays = (SOLE_USER,)

    def match(self, node: ir.Node) -> Site | None:
        """Bind the Concat and all its inputs."""
        m = site(node, "Concat")
        return None if m is None or facts.int_attribute(m.node, "axis") is None else m

    def build(self, tape: Tape, m: Site) -> Sequence[ir.Value]:
        """One QLinearConcat."""
        axis = facts.int_attribute(m.node, "axis")
        assert axis is not None
        inputs = [*m.out.pair(tape), *(v for x in m.inputs for v in x.triple(tape))]
        return [tape.op("QLinearConcat", inputs, {"axis": axis}, domain="com.microsoft")]
