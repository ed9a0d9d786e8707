"""Remove the guard against NaN behind a Softmax that gives none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape

_MOVES = ("Identity", "Expand", "Reshape", "Unsqueeze", "Squeeze", "Transpose", "Slice", "Gather", "Tile", "Flatten")
_MAX_DEPTH = 12


@record
class Match:
    """`out = Where(IsNaN(p), other, p)`, where p is the Softmax of `scores`."""

    probabilities: ir.Value
    scores: ir.Value
    other: ir.Value
    out: ir.Value

    @property
    def keeps_shape(self) -> bool:
        """Whether `other` certainly does not enlarge the probabilities."""
        dims = facts.shape(self.other)
        if dims is None:
            return False
        if all(d == 1 for d in dims):
            return len(dims) <= (facts.rank(self.probabilities) or 0)
        return facts.is_broadcast_of(dims, facts.shape(self.probabilities))


class EliminateNanGuard(Rule[Match]):
    """`Where(IsNaN(p), 0, p)` becomes `p`, the Softmax of scores to which no mask adds minus infinity.

    Softmax gives NaN for a row of nothing but minus infinity, for NaN and for infinity. PyTorch guards
    its attention that way and exports masks that add the smallest finite number where they mask, so
    that products of matrices, as long as they are finite themselves, never make a row of infinities.
    """

    name = "eliminate-nan-guard"
    claim = Claim.RANGED
    root = "Where"
    since_opset = 9
    requires = (
        Requires[Match](
            "finite-scores",
            "a row of nothing but minus infinity gives NaN",
            lambda m: _is_finite(m.scores, _MAX_DEPTH),
        ),
        Requires[Match]("no-broadcast", "what replaces NaN may enlarge the result", lambda m: m.keeps_shape),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the probabilities and the scores."""
        condition, other, kept = node.inputs
        test, softmax = facts.producer(condition, "IsNaN"), facts.producer(kept, "Softmax")
        if test is None or softmax is None or kept is None or other is None or test.inputs[0] is not kept:
            return None
        scores = softmax.inputs[0]
        return None if scores is None else Match(kept, scores, other, node.outputs[0])

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The probabilities themselves."""
        return [m.probabilities]


def _is_finite(value: ir.Value | None, depth: int) -> bool:
    """Whether `value` is finite as long as products of matrices are: no constant in it is infinite."""
    if value is None or depth == 0:
        return False
    if facts.is_constant(value):
        array = facts.constant(value)
        return array is not None and array.dtype.kind in "fiu" and bool(np.isfinite(array).all())
    node = facts.producer(value)
    if node is None:
        return False
    if f"{node.domain}::{node.op_type}" in ("::MatMul", "com.microsoft::FusedMatMul"):
        return True
    if node.domain:
        return False
    match node.op_type:
        case "Add" | "Sub" | "Mul" | "Concat":
            return all(_is_finite(v, depth - 1) for v in node.inputs)
        case "Where":
            return all(_is_finite(v, depth - 1) for v in node.inputs[1:])
        case "Div":
            divisor = node.inputs[1]
            return _is_finite(node.inputs[0], depth - 1) and divisor is not None and bool(facts.scalar(divisor))
        case "Cast":
            source = node.inputs[0]
            return source is not None and (facts.dtype(source) == ir.DataType.BOOL or _widens(node, source, depth))
        case _:
            return node.op_type in _MOVES and _is_finite(node.inputs[0], depth - 1)


def _widens(node: ir.Node, source: ir.Value, depth: int) -> bool:
    return facts.dtype(node.outputs[0]) == ir.DataType.FLOAT and _is_finite(source, depth - 1)
