"""Write the target of a Reshape as a constant where sizes need not be computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.elements import elements
from ncgopt.rewrite import Claim, Requires, Rule, Tape


@dataclass(frozen=True)
class Match:
    """`out = Reshape(x, target)`, the target computed.

    `numbers` says the same with 0 for a copied dimension and -1 for one that follows from the
    others, None where no constant does; `inferred` is the place of a -1 that the target did not have.
    """

    x: ir.Value
    numbers: tuple[int, ...] | None
    inferred: int | None


class FoldReshapeTarget(Rule[Match]):
    """`Reshape(x, Concat(Shape(x)[0], 12, 64, ...))` becomes `Reshape(x, [0, 12, 64, ...])`.

    A size that x has in the same place is copied (0); one that is left over follows from the others
    (-1). Runtimes refuse a -1 beside a dimension of 0, so that one comes in only beside known sizes;
    where the target has one already, the original is refused as well.
    """

    name = "fold-reshape-target"
    claim = Claim.EXACT
    root = "Reshape"
    since_opset = 5  # before, the target was an attribute
    requires = (
        Requires[Match](
            "copied-or-inferred",
            "two sizes that are neither known nor x's own in the same place",
            lambda m: m.numbers is not None,
        ),
        Requires[Match](
            "others-positive",
            "a -1 beside a dimension that may be 0 is refused",
            lambda m: m.numbers is None or m.inferred is None or _others_positive(m.numbers, m.inferred),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind x and what the target says about it, unless that is constant already."""
        x, target = facts.input_of(node, 0), facts.input_of(node, 1)
        allowzero = facts.int_attribute(node, "allowzero") if (node.version or 1) >= 14 else 0
        if x is None or target is None or allowzero is None or facts.is_constant(target):
            return None
        sizes = elements(target)
        return None if sizes is None else _matched(x, sizes, bool(allowzero))

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The Reshape with a constant target; none of its zeros means an empty dimension."""
        if m.numbers is None:
            raise ValueError("no constant says what the target does")
        return [tape.op("Reshape", [m.x, tape.constant(np.array(m.numbers, dtype=np.int64))])]


def _matched(x: ir.Value, sizes: facts.Shape, allowzero: bool) -> Match:
    own = facts.shape(x) or ()
    numbers: list[int] = []
    inferred: int | None = None
    for place, size in enumerate(sizes):
        if isinstance(size, int) and size >= -1 and (size != 0 or not allowzero):
            numbers.append(size)
        elif size is not None and not isinstance(size, int) and place < len(own) and own[place] == size:
            numbers.append(0)
        elif size == 0 or -1 in numbers or -1 in sizes:
            return Match(x, None, None)
        else:
            inferred = place
            numbers.append(-1)
    return Match(x, tuple(numbers), inferred)


def _others_positive(numbers: tuple[int, ...], inferred: int) -> bool:
    return all(n > 0 for place, n in enumerate(numbers) if place != inferred)
