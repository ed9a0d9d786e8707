"""Replace a PRelu of one slope by LeakyRelu."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from ncgopt import facts
from ncgopt.rewrite import Claim, Requires, Rule, Tape


@dataclass(frozen=True)
class Match:
    """`PRelu(x, slope)`, every element of the slope the same."""

    x: ir.Value
    slope: ir.Value
    alpha: float


class ReplacePrelu(Rule[Match]):
    """`PRelu(x, [s, s, ...])` becomes `LeakyRelu(x, alpha=s)`.

    ONNX Runtime has LeakyRelu in the blocked layout of its convolutions and fuses it into them, PRelu
    neither. The attribute holds single precision, which float16 fits into.
    """

    name = "replace-prelu"
    claim = Claim.ROUNDS
    root = "PRelu"
    since_opset = 7
    requires = (
        Requires[Match](
            "single-precision",
            "ONNX Runtime has no LeakyRelu for float64, and its attribute less precision",
            lambda m: facts.dtype(m.x) in (ir.DataType.FLOAT, ir.DataType.FLOAT16),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind x and the slope."""
        x, slope = node.inputs
        array = facts.constant(slope)
        if x is None or slope is None or array is None or array.size == 0:
            return None
        first = array.reshape(-1)[0]
        return Match(x, slope, float(first)) if bool((array == first).all()) else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One LeakyRelu."""
        return [tape.op("LeakyRelu", [m.x], {"alpha": m.alpha})]
