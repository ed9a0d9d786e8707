"""Fold a BatchNormalization into the dense layer before it."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import BatchNorm, batch_norm
from ncgopt.facts.constants import Array
from ncgopt.facts.rounding import representable
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.linear._dense import Dense, dense_at


@record
class Match:
    """A dense layer and the BatchNormalization of its output."""

    layer: Dense
    norm: BatchNorm

    @functools.cached_property
    def folded(self) -> tuple[Array, Array]:
        """New weights and bias in float64."""
        if self.layer.row is None:
            raise ValueError("the bias differs between rows")
        with np.errstate(all="ignore"):
            return self.layer.matrix * self.norm.factor, self.layer.row * self.norm.factor + self.norm.addend

    @property
    def fits(self) -> bool:
        """Whether they fit the layer's type."""
        return all(representable(c, self.layer.dtype) for c in self.folded)


class FoldGemmBatchNorm(Rule[Match]):
    """`BatchNormalization(x W + b)` becomes `x (W f) + (b f + a)`.

    In inference BatchNormalization multiplies each column by `f = scale / sqrt(var + epsilon)` and
    adds `a = bias - mean f`. The layer may be a Gemm, a MatMul or a MatMul with an Add.
    """

    name = "fold-gemm-batch-norm"
    claim = Claim.ROUNDS
    root = "BatchNormalization"
    since_opset = 7
    requires = (
        Requires[Match]("inference-mode", "training normalizes by the batch", lambda m: m.norm.inference),
        Requires[Match]("rank-two", "channels are axis 1, columns the last", lambda m: facts.rank(m.layer.out) == 2),
        Requires[Match]("bias-per-column", "the bias differs between rows", lambda m: m.layer.row is not None),
        Requires[Match](
            "representable", "variance + epsilon not positive, or the product overflows", lambda m: m.fits, costly=True
        ),
    )
    pays = (
        Pays[Match](
            "sole-user",
            "the layer would be computed twice",
            lambda m: m.layer.is_private and facts.sole_user(m.layer.out),
        ),
        Pays[Match](
            "sole-user-weight", "shared weights would be stored twice", lambda m: facts.sole_user(m.layer.weight)
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the layer and the parameters of the normalization."""
        norm = batch_norm(node)
        layer = dense_at(norm.x, node) if norm is not None else None
        if norm is None or layer is None or not norm.serves(layer.outputs):
            return None
        return Match(layer, norm)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value | None]:
        """The layer with scaled weights and a new bias."""
        return [m.layer.rebuilt(tape, *m.folded), *[None] * (len(m.norm.node.outputs) - 1)]
