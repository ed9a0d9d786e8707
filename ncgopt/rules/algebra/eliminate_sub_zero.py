"""Remove a subtraction of zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.algebra import _neutral
from ncgopt.rules.algebra._neutral import Match


def _is_neutral(m: Match) -> bool:
    return facts.is_integer(m.x) or not bool(np.signbit(m.constant).any())


class EliminateSubZero(Rule[Match]):
    """`Sub(x, 0)` becomes `x`.

    Zero is neutral for integers. For floats only +0.0 is: -0.0 - (-0.0) is +0.0.
    """

    name = "eliminate-sub-zero"
    claim = Claim.EXACT
    root = "Sub"
    since_opset = 7
    requires = (
        Requires[Match]("neutral-zero", "-0.0 - (-0.0) is +0.0", _is_neutral),
        _neutral.NO_BROADCAST,
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind x and the constant zero, which must be what is subtracted."""
        return _neutral.match(node, lambda c: not c.any(), commutes=False)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """What zero was subtracted from."""
        return _neutral.build(m)
