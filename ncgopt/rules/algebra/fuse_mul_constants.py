"""Fuse two multiplications by constants into one."""

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
from ncgopt.rules.algebra._constants import Step, chains, is_integer_array, is_normal, takes_no_more_room


def _divides(step: Step) -> bool:
    return step.node.op_type == "Div"


@record
class Match:
    """`out = (x * inner) * outer`, either of them divided by where it is a Div."""

    inner: Step
    outer: Step

    @functools.cached_property
    def factor(self) -> Array:
        """The combined factor in float64; integers in their own type, wrapping around as they did in two steps."""
        first, second = self.inner.array, self.outer.array
        with np.errstate(all="ignore"):
            if is_integer_array(first):
                return np.asarray(np.multiply(first, second))
            a, b = first.astype(np.float64), second.astype(np.float64)
            match (_divides(self.inner), _divides(self.outer)):
                case (False, False):
                    return np.asarray(a * b)
                case (False, True):
                    return np.asarray(a / b)
                case (True, False):
                    return np.asarray(b / a)
                case _:
                    return np.asarray(1 / (a * b))

    @property
    def is_precise(self) -> bool:
        """Whether the factor is normal, or zero because one of the constants is."""
        if is_integer_array(self.inner.array):
            return True
        zero = np.False_
        for step in (self.inner, self.outer):
            zero = zero | ((step.array == 0) & (not _divides(step)))
        return bool((is_normal(self.factor, self.inner.array.dtype) | (zero & (self.factor == 0))).all())


class FuseMulConstants(Rule[Match]):
    """`(x * a) * b` becomes `x * (a b)`; for floats also `x * a / b`, `x / a * b` and `x / a / b`.

    The constant is computed in float64 and rounded once. Integers multiply modulo 2^n, which is
    associative; their division is not, and stays.
    """

    name = "fuse-mul-constants"
    claim = Claim.ROUNDS
    root = ("Mul", "Div")
    since_opset = 7
    requires = (
        Requires[Match]("precise-product", "the product overflows, vanishes or is denormal", lambda m: m.is_precise),
    )
    pays = (
        Pays[Match]("sole-user", "the first product is still needed", lambda m: facts.sole_user(m.outer.x)),
        Pays[Match](
            "no-larger-constant",
            "a row times a column is a table, and a shared constant would be stored twice",
            lambda m: takes_no_more_room(m.factor.size, m.inner.constant, m.outer.constant),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind both constants and what the inner one multiplies."""
        for inner, outer in chains(node, "Mul", "Div"):
            divisions = [step for step in (inner, outer) if _divides(step)]
            if any(step.constant_first for step in divisions):
                continue
            if not divisions or not is_integer_array(inner.array):
                return Match(inner, outer)
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One multiplication."""
        return [tape.op("Mul", [m.inner.x, tape.constant(rounded(m.factor, m.inner.array.dtype))])]
