"""Operands that change neither the elements nor the shape of the other one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array
from ncgopt.records import record
from ncgopt.rewrite import Requires


@record
class Match:
    """`out = operator(x, constant)`, or the other way round where the operator commutes."""

    x: ir.Value
    constant: Array
    out: ir.Value

    @property
    def keeps_shape(self) -> bool:
        """Whether the constant certainly does not enlarge x."""
        if self.constant.ndim == 0 or facts.same_shape(self.x, self.out):
            return True
        return facts.is_broadcast_of(self.constant.shape, facts.shape(self.x))


NO_BROADCAST = Requires[Match]("no-broadcast", "a larger constant enlarges x", lambda m: m.keeps_shape)


def match(node: ir.Node, is_neutral: Callable[[Array], bool], *, commutes: bool) -> Match | None:
    """Bind x and a constant for which `is_neutral` holds."""
    a, b = node.inputs
    for x, other in ((a, b), (b, a)) if commutes else ((a, b),):
        constant = facts.constant(other)
        if x is not None and constant is not None and is_neutral(constant):
            return Match(x, constant, node.outputs[0])
    return None


def build(m: Match) -> Sequence[ir.Value]:
    """The other operand."""
    return [m.x]
