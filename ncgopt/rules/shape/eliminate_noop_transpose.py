"""Remove a Transpose that moves nothing."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.shape._permutations import permutation


@record
class Match:
    """`out = Transpose(x)`, where every axis longer than 1 stays in place."""

    x: ir.Value


class EliminateNoopTranspose(Rule[Match]):
    """`Transpose(x)` becomes `x` where only axes of length 1 change places, if any.

    Without `perm` the order of the axes is reversed, which moves nothing up to rank 1.
    """

    name = "eliminate-noop-transpose"
    claim = Claim.EXACT
    root = "Transpose"
    unconditional = "the pattern holds only permutations under which every element keeps its index"

    def match(self, node: ir.Node) -> Match | None:
        """Bind the input where all axes that may be longer than 1 are fixed."""
        x = facts.input_of(node, 0)
        perm = permutation(node)
        if x is None or perm is None:
            return None
        dims = facts.shape(x) or (None,) * len(perm)
        fixed = len(dims) == len(perm) and all(p == i or dims[i] == 1 for i, p in enumerate(perm))
        return Match(x) if fixed else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input itself."""
        return [m.x]
