"""Multiply by the reciprocal of a power of two instead of dividing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array
from ncgopt.facts.rounding import rounded
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.algebra._constants import is_float_array, is_normal, takes_no_more_room
from ncgopt.rules.algebra._idioms import is_part_of_attention


@record
class Match:
    """`out = x / divisor`."""

    x: ir.Value
    divisor: ir.Value
    array: Array
    out: ir.Value

    @property
    def reciprocal(self) -> Array:
        """1 / divisor in float64."""
        with np.errstate(all="ignore"):
            return np.asarray(1 / self.array.astype(np.float64))

    @property
    def is_exact(self) -> bool:
        """Whether every divisor is a power of two of either sign, and its reciprocal a normal number."""
        mantissa, _ = np.frexp(self.array.astype(np.float64))
        return bool(((np.abs(mantissa) == 0.5) & is_normal(self.reciprocal, self.array.dtype)).all())


class ReplaceDivByPowerOfTwo(Rule[Match]):
    """`x / 2^k` becomes `x * 2^-k`, per element of the constant.

    Both are the same real number, rounded once, also where the result is denormal. Other divisors
    have no exact reciprocal. Multiplication is the faster instruction.
    """

    name = "replace-div-by-power-of-two"
    claim = Claim.EXACT
    root = "Div"
    since_opset = 7
    requires = (
        Requires[Match](
            "exact-reciprocal", "the reciprocal is rounded, infinite or denormal otherwise", lambda m: m.is_exact
        ),
    )
    pays = (
        Pays[Match](
            "no-larger-constant",
            "a shared constant would be stored twice",
            lambda m: takes_no_more_room(m.array.size, m.divisor),
        ),
        Pays[Match](
            "not-attention",
            "runtimes know attention by the division of its scores",
            lambda m: not is_part_of_attention(m.x, m.out),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind x and a constant divisor of a floating-point type."""
        x, divisor = node.inputs
        array = facts.constant(divisor)
        if x is None or divisor is None or array is None or not is_float_array(array):
            return None
        return Match(x, divisor, array, node.outputs[0])

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One multiplication."""
        return [tape.op("Mul", [m.x, tape.constant(rounded(m.reciprocal, m.array.dtype))])]
