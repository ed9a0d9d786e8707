"""Write the target of a Reshape as a constant where sizes need not be computed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.elements import elements
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.shape._targets import Target, constant_target


@record
class Match:
    """`out = Reshape(x, ...)`, the target computed; `target` says the same as a constant, None where none does."""

    x: ir.Value
    target: Target | None


class FoldReshapeTarget(Rule[Match]):
    """`Reshape(x, Concat(Shape(x)[0], 12, 64, ...))` becomes `Reshape(x, [0, 12, 64, ...])`.

    A size that x has in the same place is copied (0); one that is left over follows from the others
    (-1). Runtimes refuse a -1 beside a dimension of 0, so that one comes in only beside known sizes;
    where the target has one already, the original is refused as well, except with `allowzero`: there
    ONNX Runtime infers sizes of empty tensors (reshape_helper.h).
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
        if allowzero and 0 in sizes:
            return Match(x, None)  # a 0 that does not copy
        own = facts.shape(x)
        found = constant_target(_spelled_out(sizes, own, facts.shape(node.outputs[0])), own)
        if found is not None and allowzero and -1 in found.numbers:
            found = Target(found.numbers, found.numbers.index(-1))
        return Match(x, found)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The Reshape with a constant target; none of its zeros means an empty dimension."""
        if m.target is None:
            raise ValueError("no constant says what the target does")
        return [tape.op("Reshape", [m.x, tape.constant(np.array(m.target.numbers, dtype=np.int64))])]


def _spelled_out(sizes: facts.Shape, own: facts.Shape | None, result: facts.Shape | None) -> facts.Shape:
    """`sizes` with the number that a -1 comes to, where the other sizes are numbers or the tensor's own in their place.

    Then the sizes that may be 0 cancel out. A size from elsewhere would copy another one where it is 0.
    """
    if own is None or result is None or len(result) != len(sizes):
        return sizes
    others = [(size, own[k] if k < len(own) else None) for k, size in enumerate(sizes)]
    if not all(isinstance(size, int) or (size is not None and size == mine) for size, mine in others):
        return sizes
    return tuple(
        known if size == -1 and isinstance(known, int) else size for size, known in zip(sizes, result, strict=True)
    )
