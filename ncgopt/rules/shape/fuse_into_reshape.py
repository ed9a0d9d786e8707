"""Change the shape once instead of twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.shape._targets import Target, constant_target


@record
class Match:
    """`out = Squeeze(between)`, between a Reshape of x, or any other two of their kind; `target` does both."""

    x: ir.Value
    between: ir.Value
    target: Target | None


class FuseIntoReshape(Rule[Match]):
    """`Unsqueeze(Reshape(x))`, `Squeeze(Unsqueeze(x))`, `Flatten(Squeeze(x))` ... become one Reshape.

    None of them moves an element, so that only the last shape counts; it must be one that a constant
    can say: known sizes, sizes that x has in the same place, and one that follows from the others.
    (What ends in a Reshape is for `fuse-reshapes`.)
    """

    name = "fuse-into-reshape"
    claim = Claim.EXACT
    root = ("Squeeze", "Unsqueeze", "Flatten")
    since_opset = 5  # before, the target of a Reshape was an attribute
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
    pays = (Pays[Match]("sole-user", "the first stays for its other users", lambda m: facts.sole_user(m.between)),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind the first value and the last shape."""
        between = facts.input_of(node, 0)
        inner = facts.producer(between, "Reshape", "Flatten", "Squeeze", "Unsqueeze")
        x = facts.input_of(inner, 0) if inner is not None else None
        sizes = facts.shape(node.outputs[0])
        if x is None or between is None or sizes is None:
            return None
        if 0 in sizes:
            return None  # an empty dimension, which a target can only say since opset 14
        return Match(x, between, constant_target(sizes, facts.shape(x)))

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One Reshape."""
        if m.target is None:
            raise ValueError("no constant says what the shape is")
        return [tape.op("Reshape", [m.x, tape.constant(np.array(m.target.numbers, dtype=np.int64))])]
