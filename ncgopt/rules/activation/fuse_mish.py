"""Fuse Mish written in pieces into the operator."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.interior import is_closed
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Rule, Tape

_SERVED = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16})  # at every opset


@record
class Match:
    """`root = x * Tanh(Softplus(x))`."""

    x: ir.Value
    nodes: tuple[ir.Node, ...]
    root: ir.Node


class FuseMish(Rule[Match]):
    """`x * Tanh(Softplus(x))` becomes `Mish(x)`.

    Misra, Mish: A Self Regularized Non-Monotonic Activation Function, 2019 (arXiv:1908.08681). ONNX
    defines the operator by just these three, and ONNX Runtime computes it by them in the same time.
    """

    name = "fuse-mish"
    claim = Claim.ROUNDS
    root = "Mul"
    since_opset = 18
    unconditional = "ONNX defines the operator by these three"
    pays = (
        Pays[Match](
            "sole-users", "intermediate values would be computed on their own too", lambda m: is_closed(m.nodes, m.root)
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind x, in either order of the factors."""
        a, b = node.inputs
        for x, factor in ((a, b), (b, a)):
            tanh = producer_beside(factor, node, "Tanh")
            softplus = producer_beside(tanh.inputs[0], node, "Softplus") if tanh is not None else None
            if x is None or facts.dtype(x) not in _SERVED:
                continue
            if tanh is not None and softplus is not None and softplus.inputs[0] is x:
                return Match(x, (tanh, softplus), node)
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One Mish."""
        return [tape.op("Mish", [m.x])]
