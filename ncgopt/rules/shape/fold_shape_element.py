"""Write down the part of a shape that is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array
from ncgopt.facts.elements import known_elements
from ncgopt.records import record
from ncgopt.rewrite import Claim, Rule, Tape


@record
class Match:
    """`out` picks, out of computed sizes, such as are known."""

    numbers: Array


class FoldShapeElement(Rule[Match]):
    """`Gather(Shape(x), i)` and `Slice(Shape(x))` become constants where the sizes they pick are known.

    The batch of x may be unknown: only what is picked counts, and arithmetic on the way is followed.
    """

    name = "fold-shape-element"
    claim = Claim.EXACT
    root = ("Gather", "Slice")
    unconditional = "a known size is the same on every run"

    def match(self, node: ir.Node) -> Match | None:
        """Bind the sizes picked."""
        out = node.outputs[0]
        rank, dtype, numbers = facts.rank(out), facts.dtype(out), known_elements(out)
        if numbers is None or dtype is None or not facts.is_integer(out) or rank not in (0, 1):
            return None
        array = np.array(numbers, dtype=dtype.numpy())
        return Match(array.reshape(()) if rank == 0 else array)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The constant."""
        return [tape.constant(m.numbers)]
