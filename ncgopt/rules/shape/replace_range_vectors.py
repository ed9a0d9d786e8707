"""Give Range the scalars it asks for."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array
from ncgopt.records import record
from ncgopt.rewrite.rule import Claim, Rule
from ncgopt.rewrite.tape import Tape


@record
class Match:
    """The operands of a Range, each with its contents where it is a constant vector of one element."""

    operands: tuple[tuple[ir.Value, Array | None], ...]


class ReplaceRangeVectors(Rule[Match]):
    """`Range(0, [n], 1)` becomes `Range(0, n, 1)`.

    The specification asks for scalars. ONNX Runtime computes with vectors of one element as well,
    but refuses to load the model as soon as it can see that an operand is one: an If that hid it
    may be gone. (Function bodies of the ONNX standard, AffineGrid's, do this.)
    """

    name = "replace-range-vectors"
    claim = Claim.EXACT
    root = "Range"
    since_opset = 11
    unconditional = "a vector of one element holds just the scalar that the operator reads"

    def match(self, node: ir.Node) -> Match | None:
        """Bind the operands, if one of them is a constant vector of one element."""
        if len(node.inputs) != 3:
            return None
        operands = tuple((value, _vector(value)) for value in node.inputs if value is not None)
        if len(operands) != 3 or all(array is None for _, array in operands):
            return None
        return Match(operands)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The same Range on scalars."""
        scalars = [tape.constant(array.reshape(())) if array is not None else value for value, array in m.operands]
        return [tape.op("Range", scalars)]


def _vector(value: ir.Value) -> Array | None:
    array = facts.constant(value) if facts.static(value) == (1,) else None
    return array if array is not None and array.dtype.kind in "iuf" else None
