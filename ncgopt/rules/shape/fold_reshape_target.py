"""Write the target of a Reshape as a constant where sizes need not be computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.elements import elements
from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.shape._targets import Target, constant_target


@dataclass(frozen=True)
class Match:
    """`out = Reshape(x, ...)`, the target computed; `target` says the same as a constant, None where none does."""

    x: ir.Value
    target: Target | None


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
            lambda m: m.target is not None,
        ),
        Requires[Match](
            "others-positive",
            "a -1 beside a dimension that may be 0 is refused",
            lambda m: m.target is None or m.target.others_positive,
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind x and what the target says about it, unless that is constant already."""
        x, target = facts.input_of(node, 0), facts.input_of(node, 1)
        allowzero = facts.int_attribute(node, "allowzero") if (node.version or 1) >= 14 else 0
        if x is None or target is None or allowzero is None or facts.is_constant(target):
            return None
        sizes = elements(target)
        if sizes is None:
            return None
        empty = bool(allowzero) and 0 in sizes  # a 0 that does not copy
        return Match(x, None if empty else constant_target(sizes, facts.shape(x)))

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The Reshape with a constant target; none of its zeros means an empty dimension."""
        if m.target is None:
            raise ValueError("no constant says what the target does")
        return [tape.op("Reshape", [m.x, tape.constant(np.array(m.target.numbers, dtype=np.int64))])]
