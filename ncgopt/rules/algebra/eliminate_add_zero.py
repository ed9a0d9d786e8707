"""Remove an addition of zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.algebra import _neutral
from ncgopt.rules.algebra._neutral import Match


def _is_neutral(m: Match) -> bool:
    return facts.is_integer(m.x) or bool(np.signbit(m.constant).all())


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
        Requires[Match]("neutral-zero", "-0.0 + 0.0 is +0.0", _is_neutral),
        _neutral.NO_BROADCAST,
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind x and the constant zero."""
        return _neutral.match(node, lambda c: not c.any(), commutes=True)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The other operand."""
        return _neutral.build(m)
