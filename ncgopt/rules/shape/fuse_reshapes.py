"""Reshape once instead of twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.operands import ints_operand
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape


@record
class Match:
    """`out = Reshape(between, target)`, between a Reshape, Flatten, Squeeze or Unsqueeze of x.

    `numbers` is the target where constant.
    """

    x: ir.Value
    between: ir.Value
    target: ir.Value
    numbers: tuple[int, ...] | None
    allowzero: bool


class FuseReshapes(Rule[Match]):
    """`Reshape(Reshape(x, a), b)` becomes `Reshape(x, b)`; the first may be Flatten, Squeeze or Unsqueeze too.

    None of them moves an element, so that only the last shape counts. A 0 in b copies a dimension of
    what stood between: it must be x's own there too, or a known size to write in its place.
    """

    name = "fuse-reshapes"
    claim = Claim.EXACT
    root = "Reshape"
    since_opset = 5
    requires = (
        Requires[Match](
            "no-copied-dim",
            "a 0 in the target copies a dimension that x does not have",
            lambda m: m.allowzero or _target(m) is not None,
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the first value and the last target."""
        between, target = facts.input_of(node, 0), facts.input_of(node, 1)
        inner = facts.producer(between, "Reshape", "Flatten", "Squeeze", "Unsqueeze")
        x = facts.input_of(inner, 0) if inner is not None else None
        allowzero = facts.int_attribute(node, "allowzero") if (node.version or 1) >= 14 else 0
        if x is None or between is None or target is None or allowzero is None:
            return None
        return Match(x, between, target, ints_operand(node, "", 1), bool(allowzero))

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The last Reshape on the first value."""
        numbers = m.numbers if m.allowzero else _target(m)
        target = m.target if numbers in (None, m.numbers) else tape.constant(np.array(numbers, dtype=np.int64))
        return [tape.op("Reshape", [m.x, target], {"allowzero": 1} if m.allowzero else None)]


def _target(m: Match) -> tuple[int, ...] | None:
    """The target for x, without zeros that copy another dimension; None where unknown."""
    if m.numbers is None:
        return None
    own, copied = facts.shape(m.x) or (), facts.shape(m.between) or ()
    found: list[int] = []
    for i, n in enumerate(m.numbers):
        d = copied[i] if i < len(copied) else None
        if n != 0 or (d is not None and i < len(own) and own[i] == d):
            found.append(n)
        elif isinstance(d, int) and d > 0:
            found.append(d)
        else:
            return None
    return tuple(found)
