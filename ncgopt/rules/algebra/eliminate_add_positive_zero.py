"""Remove an addition of zero where nobody sees the sign of a zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.algebra import _neutral
from ncgopt.rules.algebra._idioms import is_normalized
from ncgopt.rules.algebra._neutral import Match

_MOVES = frozenset({
    "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Cast",
    "Concat", "Split",
})  # fmt: skip
# Inputs that are divided by: 0.0 gives another infinity there than -0.0.
_DIVISORS = {"Div": 1, "Reciprocal": 0, "Pow": 0}
_MAX_USERS = 64


class EliminateAddPositiveZero(Rule[Match]):
    """`Add(x, 0.0)` becomes `x`, where nothing divides by the sum.

    The sum differs from x in the sign of a zero alone: -0.0 + 0.0 is 0.0. As real numbers both are
    the same, hence ROUNDS; only 1/x makes an infinity of another sign of it. (-0.0 and integer zeros
    are for `eliminate-add-zero`.) Exporters leave biases of zero behind that were never trained.
    """

    name = "eliminate-add-positive-zero"
    claim = Claim.ROUNDS
    root = "Add"
    since_opset = 7
    requires = (
        Requires[Match]("undivided", "1/-0.0 is another infinity than 1/0.0", lambda m: _is_undivided(m.out)),
        _neutral.NO_BROADCAST,
    )
    pays = (
        Pays[Match]("not-a-normalization", "runtimes know a normalization by its shift", lambda m: not _is_scaled(m.x)),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind x and the constant zero."""
        return _neutral.match(node, _is_positive_zero, commutes=True)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The other operand."""
        return _neutral.build(m)


def _is_scaled(value: ir.Value) -> bool:
    """Whether `value` is a normalization with its scale: the next addend is its shift."""
    node = facts.producer(value, "Mul")
    return node is not None and any(factor is not None and is_normalized(factor) for factor in node.inputs)


def _is_positive_zero(array: Array) -> bool:
    return array.dtype.kind == "f" and not array.any() and not bool(np.signbit(array).all())


def _is_undivided(value: ir.Value) -> bool:
    """Whether no user, behind operators that only move elements, divides by `value` or is unknown."""
    pending, seen = [value], 0
    while pending:
        for node, index in pending.pop().uses():
            seen += 1
            if node.domain or _DIVISORS.get(node.op_type) == index or seen > _MAX_USERS:
                return False
            if node.op_type in _MOVES:
                pending.extend(node.outputs)
    return True
