"""Make one Transpose of two."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Rule, Tape
from ncgopt.rules.shape._permutations import permutation


@record
class Match:
    """`out = Transpose(Transpose(x))`; `perm` does both, None where together they do nothing."""

    x: ir.Value
    perm: tuple[int, ...] | None
    between: ir.Value


class FuseTransposes(Rule[Match]):
    """`Transpose(Transpose(x, p), q)` becomes `Transpose(x, p[q])`, or `x` where q undoes p.

    Two reversals (the default) undo each other at any rank.
    """

    name = "fuse-transposes"
    claim = Claim.EXACT
    root = "Transpose"
    unconditional = "permutations compose, and no element is touched"
    pays = (
        Pays[Match](
            "sole-user",
            "the first Transpose stays for its other users, and the new one may be the slower kind",
            lambda m: m.perm is None or facts.sole_user(m.between),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the first input and the composed permutation."""
        between = facts.input_of(node, 0)
        inner = facts.producer(between, "Transpose")
        x = facts.input_of(inner, 0) if inner is not None else None
        if inner is None or between is None or x is None:
            return None
        if not facts.is_set(inner, "perm") and not facts.is_set(node, "perm"):
            return Match(x, None, between)
        first = permutation(inner) or _reversal(inner, permutation(node))
        second = permutation(node, len(first)) if first is not None else None
        if first is None or second is None or len(first) != len(second):
            return None
        perm = tuple(first[axis] for axis in second)
        return Match(x, None if perm == tuple(range(len(perm))) else perm, between)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input itself or the composed Transpose."""
        return [m.x] if m.perm is None else [tape.op("Transpose", [m.x], {"perm": m.perm})]


def _reversal(inner: ir.Node, second: tuple[int, ...] | None) -> tuple[int, ...] | None:
    return None if second is None or facts.is_set(inner, "perm") else permutation(inner, len(second))
