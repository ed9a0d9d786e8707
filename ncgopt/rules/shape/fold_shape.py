"""Write down a shape that is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt.facts.constants import Array
from ncgopt.facts.elements import known_elements
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Rule, Tape


@record
class Match:
    """`out = Shape(x)` or `Size(x)`, whose elements are known."""

    numbers: Array
    out: ir.Value


class FoldShape(Rule[Match]):
    """`Shape(x)` and `Size(x)` become constants where every dimension asked for is known.

    Shapes are facts only as far as they follow from the declared inputs, which the runtime enforces,
    and from constants.
    """

    name = "fold-shape"
    claim = Claim.EXACT
    root = ("Shape", "Size")
    unconditional = "a known size is the same on every run"
    pays = (
        Pays[Match](
            "inner-value",
            "an output must be produced by a node, and a Constant takes more bytes than the Shape",
            lambda m: not m.out.is_graph_output(),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the sizes; those outside `start` and `end` need not be known."""
        numbers = known_elements(node.outputs[0])
        if numbers is None:
            return None
        array = np.array(numbers, dtype=np.int64)
        return Match(array if node.op_type == "Shape" else array.reshape(()), node.outputs[0])

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The constant."""
        return [tape.constant(m.numbers)]
