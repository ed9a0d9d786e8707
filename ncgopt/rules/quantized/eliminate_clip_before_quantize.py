"""Leave cutting off to the quantization after it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.constants import Array
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.activation._clip import bounds
from ncgopt.rules.quantized._parameters import Parameters, parameters

_EIGHT_BITS = {ir.DataType.UINT8: (0, 255), ir.DataType.INT8: (-128, 127)}


@record
class Match:
    """`out = QuantizeLinear(Clip(x, low, high))`; a Relu is a Clip without an upper end."""

    root: ir.Node
    x: ir.Value
    low: float
    high: float
    by: Parameters
    scale: Array
    zero: Array

    def steps(self, number: float) -> Array:
        """The integers that `number` is quantized to, one for each scale, before they are cut off."""
        with np.errstate(all="ignore"):
            return np.asarray(np.rint(np.float32(number) / self.scale).astype(np.float64) + self.zero)


class EliminateClipBeforeQuantize(Rule[Match]):
    """`QuantizeLinear(Clip(x, low, high))` becomes `QuantizeLinear(x)`, where the integers end no later than the clip.

    Quantizing never decreases where the scale is positive, and where it is not, `low` and `high` do
    not become the smallest and the largest integer. So what lies below `low` becomes no more than
    `low` does; if that is the smallest integer, all of it becomes the same. The same above, and for
    Relu with a zero point that is the smallest integer.
    """

    name = "eliminate-clip-before-quantize"
    claim = Claim.EXACT
    root = "QuantizeLinear"
    since_opset = 10
    requires = (
        Requires[Match](
            "ends-at-least", "small numbers would be cut off lower", lambda m: _all(m.steps(m.low) <= _ends(m)[0])
        ),
        Requires[Match](
            "ends-at-most", "large numbers would be cut off higher", lambda m: _all(m.steps(m.high) >= _ends(m)[1])
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the Clip or Relu, and the parameters if they are constant."""
        clip, by = producer_beside(node.inputs[0], node, "Clip", "Relu"), parameters(node)
        if clip is None or clip.inputs[0] is None or by is None or by.dtype not in _EIGHT_BITS:
            return None
        scale, zero = facts.constant(by.scale), by.zero
        found = (0.0, math.inf) if clip.op_type == "Relu" else _bounds(clip)
        if scale is None or scale.dtype != np.float32 or zero is None or found is None:
            return None
        return Match(node, clip.inputs[0], *found, by, scale, zero)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The same quantization of what was clipped."""
        return [tape.like(m.root, [m.x, *m.root.inputs[1:]])]


def _bounds(clip: ir.Node) -> tuple[float, float] | None:
    found = bounds(clip)
    return None if found is None else (float(found.low.number), float(found.high.number))


def _ends(m: Match) -> tuple[int, int]:
    assert m.by.dtype is not None
    return _EIGHT_BITS[m.by.dtype]


def _all(holds: Array) -> bool:
    return bool(holds.all())
