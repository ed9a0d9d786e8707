"""Remove a Reshape to the shape the value has already."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.elements import elements
from ncgopt.records import record
from ncgopt.rewrite import Claim, Rule, Tape


@record
class Match:
    """`out = Reshape(x, target)`, where x has the target shape."""

    x: ir.Value


class EliminateNoopReshape(Rule[Match]):
    """`Reshape(x, target)` becomes `x` where every dimension is provably x's own.

    A dimension is x's own if the target copies it (0), names the same size or symbol, or infers it
    (-1) while all others are: sizes multiply to the same number. (Where one of the others is 0 at
    run time, the original fails.)
    """

    name = "eliminate-noop-reshape"
    claim = Claim.EXACT
    root = "Reshape"
    since_opset = 5  # before, the target was an attribute
    unconditional = "the pattern holds only targets proven to be the input's own shape"

    def match(self, node: ir.Node) -> Match | None:
        """Bind the input where the target is its shape."""
        x, target = facts.input_of(node, 0), elements(facts.input_of(node, 1))
        allowzero = facts.int_attribute(node, "allowzero") if (node.version or 1) >= 14 else 0
        if x is None or target is None or allowzero is None:
            return None
        dims = facts.shape(x)
        return Match(x) if dims is not None and _is_shape(target, dims, bool(allowzero)) else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input itself."""
        return [m.x]


def _is_shape(target: facts.Shape, dims: facts.Shape, allowzero: bool) -> bool:
    if len(target) != len(dims):
        return False
    open_ended = [i for i, t in enumerate(target) if not _is_dim(t, dims[i], allowzero)]
    if not open_ended:
        return True
    if len(open_ended) > 1:
        return False
    if target[open_ended[0]] == -1:
        return True
    # An unknown size follows from the others, unless they may multiply to 0.
    rest = [d for i, d in enumerate(dims) if i != open_ended[0]]
    return target[open_ended[0]] is None and all(isinstance(d, int) and d > 0 for d in rest)


def _is_dim(t: facts.Dim, d: facts.Dim, allowzero: bool) -> bool:
    return (t == 0 and not allowzero) or (t is not None and t == d)
