"""Shorten a chain of multiplications and additions of constants to one of each."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.constants import Array
from ncgopt.facts.rounding import representable, rounded
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape

_STEPS = ("Add", "Sub", "Mul", "Div")
_MAX_STEPS = 12
_LARGEST = 2**16  # elements of a combined constant


@record
class Step:
    """`node` combines `x` with a constant; `swapped` where the constant comes first."""

    node: ir.Node
    x: ir.Value
    constant: Array
    swapped: bool


@record
class Match:
    """`root` is the last of `steps`, which begin at the first one's x."""

    root: ir.Node
    steps: tuple[Step, ...]

    @functools.cached_property
    def folded(self) -> tuple[Array, Array]:
        """The factor and the summand of all steps together, in float64."""
        factor, addend = np.ones(()), np.zeros(())
        with np.errstate(all="ignore"):
            for step in self.steps:
                c = step.constant.astype(np.float64)
                match step.node.op_type, step.swapped:
                    case "Mul", _:
                        factor, addend = factor * c, addend * c
                    case "Div", _:
                        factor, addend = factor / c, addend / c
                    case "Sub", True:
                        factor, addend = -factor, c - addend
                    case "Sub", False:
                        addend = addend - c
                    case _:
                        addend = addend + c
        return factor, addend

    @property
    def fits(self) -> bool:
        """Whether both fit the element type."""
        return all(representable(c, self.steps[0].constant.dtype) for c in self.folded)

    @property
    def is_private(self) -> bool:
        """Whether nothing else reads what lies between the steps."""
        return all(facts.sole_user(step.node.outputs[0]) for step in self.steps[:-1])


class FuseAffineChain(Rule[Match]):
    """`((x * a + b) * c) - d` becomes `x * (a c) + (b c - d)`: three steps with constants and more become two.

    Constants are combined in float64 and rounded once; together they broadcast as they did one by one.
    """

    name = "fuse-affine-chain"
    claim = Claim.ROUNDS
    root = _STEPS
    since_opset = 7
    requires = (Requires[Match]("representable", "a product overflows, or a divisor is 0", lambda m: m.fits),)
    pays = (
        Pays[Match]("sole-users", "intermediate values would be computed on their own too", lambda m: m.is_private),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind all steps upwards from the last one, if it is not read by a further step alone; no large constants."""
        steps: list[Step] = []
        step = _step(node)
        while step is not None and len(steps) < _MAX_STEPS:
            steps.append(step)
            source = producer_beside(step.x, node, *_STEPS)
            step = _step(source) if source is not None else None
        users = [use.node for use in node.outputs[0].uses()]
        if len(steps) < 3 or (len(users) == 1 and users[0].graph is node.graph and _step(users[0]) is not None):
            return None
        combined = np.broadcast_shapes(*(step.constant.shape for step in steps))
        return Match(node, tuple(reversed(steps))) if math.prod(combined) <= _LARGEST else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """A product and a sum."""
        dtype = m.steps[0].constant.dtype
        factor, addend = (tape.constant(rounded(c, dtype)) for c in m.folded)
        return [tape.op("Add", [tape.op("Mul", [m.steps[0].x, factor]), addend])]


def _step(node: ir.Node) -> Step | None:
    if node.op_type not in _STEPS or node.domain or len(node.inputs) != 2 or facts.is_kept(node):
        return None
    for x, constant, swapped in ((*node.inputs, False), (*node.inputs[::-1], True)):
        if x is None or facts.is_constant(x) or not facts.is_float(x) or (swapped and node.op_type == "Div"):
            continue
        array = facts.constant(constant)
        if array is not None and array.size:
            return Step(node, x, array, swapped)
    return None
