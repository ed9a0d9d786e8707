"""Powers with a constant exponent."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Requires


@record
class Match:
    """`out = Pow(x, exponent)`, x of a floating-point type."""

    x: ir.Value
    exponent: ir.Value
    out: ir.Value

    @property
    def keeps_shape(self) -> bool:
        """Whether the exponent certainly does not enlarge x."""
        dims = facts.shape(self.exponent)
        return dims == () or facts.is_broadcast_of(dims, facts.shape(self.x))


NO_BROADCAST = Requires[Match]("no-broadcast", "an exponent of higher rank enlarges x", lambda m: m.keeps_shape)


def match(node: ir.Node, exponent: float) -> Match | None:
    """Bind x where the exponent is a single constant of this value, of whatever element type and rank."""
    x, power = node.inputs
    if x is None or power is None or facts.scalar(power) != exponent or not facts.is_float(x):
        return None
    return Match(x, power, node.outputs[0])
