"""Remove an addition of zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array
from ncgopt.rewrite import Claim, Requires, Rule, Tape


@dataclass(frozen=True)
class Match:
    """`out = Add(x, zero)`, in either order."""

    x: ir.Value
    zero: Array
    integer: bool
    out: ir.Value


class EliminateAddZero(Rule[Match]):
    """`Add(x, 0)` becomes `x`.

    Zero is neutral for integers. For floats only -0.0 is: x + 0.0 turns a -0.0 in x into +0.0, and
    1/x then flips between -inf and +inf.
    """

    name = "eliminate-add-zero"
    claim = Claim.EXACT
    root = "Add"
    since_opset = 7
    requires = (
        Requires[Match]("neutral-zero", "-0.0 + 0.0 is +0.0", lambda m: m.integer or bool(np.signbit(m.zero).all())),
        Requires[Match]("no-broadcast", "a larger zero enlarges x", lambda m: facts.same_shape(m.x, m.out)),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind x and the constant zero."""
        a, b = node.inputs
        for x, k in ((a, b), (b, a)):
            zero = facts.constant(k)
            if x is not None and zero is not None and not zero.any():
                return Match(x, zero, facts.is_integer(x), node.outputs[0])
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The other operand."""
        return [m.x]
