"""Fuse two additions or subtractions of constants into one."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array
from ncgopt.facts.rounding import rounded
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.algebra._constants import Step, chains, is_integer_array, takes_no_more_room

# The first sum is rounded to the scale of its constant. Up to 3 bits of that may show in the result.
_CANCELLED = 2.0**-3


def _negates(step: Step) -> bool:
    """Whether the step is `constant - x`."""
    return step.node.op_type == "Sub" and step.constant_first


def _signed(step: Step) -> Array:
    """What the step adds to x, or to -x: floats in float64, integers in their own type, where they wrap around."""
    array = step.array if is_integer_array(step.array) else step.array.astype(np.float64)
    subtracts = step.node.op_type == "Sub" and not step.constant_first
    with np.errstate(over="ignore"):
        return np.negative(array) if subtracts else array


@record
class Match:
    """`out = (x + inner) + outer`, with any of the signs that Sub gives."""

    inner: Step
    outer: Step

    @property
    def is_integer(self) -> bool:
        """Whether the elements are integers."""
        return is_integer_array(self.inner.array)

    @functools.cached_property
    def parts(self) -> tuple[Array, Array]:
        """The two addends with the signs they have in the result."""
        first, second = _signed(self.inner), _signed(self.outer)
        with np.errstate(over="ignore"):
            return np.negative(first) if _negates(self.outer) else first, second

    @functools.cached_property
    def addend(self) -> Array:
        """Their sum."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(np.add(*self.parts))

    @property
    def is_finite(self) -> bool:
        """Whether the sum is finite in the element type."""
        stored = rounded(self.addend, self.inner.array.dtype)
        return self.is_integer or bool(np.isfinite(stored.astype(np.float64)).all())

    @property
    def keeps_scale(self) -> bool:
        """Whether the sum is of the order of its parts."""
        largest = np.maximum(*(np.abs(part) for part in self.parts))
        return self.is_integer or bool((np.abs(self.addend) >= _CANCELLED * largest).all())


class FuseAddConstants(Rule[Match]):
    """`(x + a) + b` becomes `x + (a + b)`; the same for every mix of `x + a`, `x - a` and `a - x`.

    The constant is computed in float64 and rounded once; integers add modulo 2^n, which is
    associative. Constants that cancel are left alone: adding and subtracting a large number is how
    models round.
    """

    name = "fuse-add-constants"
    claim = Claim.ROUNDS
    root = ("Add", "Sub")
    since_opset = 7
    requires = (
        Requires[Match]("finite-sum", "the sum of the constants overflows", lambda m: m.is_finite),
        Requires[Match]("no-cancellation", "what the larger constant rounded away comes back", lambda m: m.keeps_scale),
    )
    pays = (
        Pays[Match]("sole-user", "the first sum is still needed", lambda m: facts.sole_user(m.outer.x)),
        Pays[Match](
            "no-larger-constant",
            "a row plus a column is a table, and a shared constant would be stored twice",
            lambda m: takes_no_more_room(m.addend.size, m.inner.constant, m.outer.constant),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind both constants and what the inner one is added to."""
        for inner, outer in chains(node, "Add", "Sub"):
            return Match(inner, outer)
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One addition, or one subtraction from the constant."""
        constant = tape.constant(rounded(m.addend, m.inner.array.dtype))
        if _negates(m.inner) != _negates(m.outer):
            return [tape.op("Sub", [constant, m.inner.x])]
        return [tape.op("Add", [m.inner.x, constant])]
