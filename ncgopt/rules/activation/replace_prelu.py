"""Replace a PRelu of one slope by LeakyRelu."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape


@record
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
            "no-broadcast",
            "ONNX Runtime lets more slopes enlarge x, against the standard",
            lambda m: _fits(facts.shape(m.slope), facts.shape(m.x)),
        ),
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


def _fits(slope: facts.Shape | None, x: facts.Shape | None) -> bool:
    """Whether the slope's shape can be broadcast to that of x."""
    if slope is None or x is None or len(slope) > len(x):
        return False
    return all(dim in (1, own) for dim, own in zip(slope[::-1], x[::-1], strict=False))
