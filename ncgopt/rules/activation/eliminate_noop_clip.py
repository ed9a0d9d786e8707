"""Remove a Clip that nothing is outside of."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.activation import _clip


@record
class Match:
    """`out = Clip(x)` with bounds that no finite number lies outside of."""

    x: ir.Value
    bounds: _clip.Bounds


class EliminateNoopClip(Rule[Match]):
    """`Clip(x, min, max)` becomes `x` where both bounds are infinite, or of an integer type's whole range.

    A float bound that is left out is no infinite one: by the specification it is the largest finite
    number of the type, and ONNX Runtime turns an infinity into that.
    """

    name = "eliminate-noop-clip"
    claim = Claim.EXACT
    root = "Clip"
    since_opset = 6
    requires = (
        Requires[Match](
            "keeps-infinity",
            "an infinity becomes the largest finite number",
            lambda m: facts.is_integer(m.x) or all(_is_infinite(b) for b in (m.bounds.low, m.bounds.high)),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the input where the bounds span its type."""
        x, bounds = facts.input_of(node, 0), _clip.bounds(node)
        if x is None or bounds is None:
            return None
        least, greatest = _range(facts.dtype(x))
        return Match(x, bounds) if bounds.low.number <= least and bounds.high.number >= greatest else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input itself."""
        return [m.x]


def _is_infinite(bound: _clip.Bound) -> bool:
    return math.isinf(bound.number) and not bound.absent


def _range(dtype: ir.DataType | None) -> tuple[float | int, float | int]:
    """The smallest and the largest finite number of an element type; infinities where it is unknown."""
    if dtype is not None and dtype in (ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16):
        greatest = float(np.finfo(dtype.numpy()).max)
        return -greatest, greatest
    if dtype is not None and dtype.is_integer() and dtype.bitwidth >= 8:
        return int(np.iinfo(dtype.numpy()).min), int(np.iinfo(dtype.numpy()).max)
    return -math.inf, math.inf
