"""Merge two products that share a factor and are added."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array
from ncgopt.facts.rounding import representable
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.linear._dense import Dense, dense_at


@record
class Match:
    """`x W1 + x W2` (`last` of neither is None), `x W1 + (x A) B`, or `x W + z W`.

    Attributes:
        first, second: the layers that are added.
        inner: what `second` reads, where that is a layer of x itself.
    """

    first: Dense
    second: Dense
    inner: Dense | None
    signs: tuple[int, int]

    @property
    def shares_input(self) -> bool:
        """Whether both branches begin at the same value."""
        return self.first.x is (self.inner or self.second).x

    @functools.cached_property
    def matrix(self) -> Array:
        """The one matrix, `[inputs, outputs]`, in float64."""
        if not self.shares_input:
            return self.first.matrix
        with np.errstate(all="ignore"):
            branch = self.second.matrix if self.inner is None else self.inner.matrix @ self.second.matrix
            return self.signs[0] * self.first.matrix + self.signs[1] * branch

    @functools.cached_property
    def row(self) -> Array | None:
        """The one bias, in float64; None where a bias differs between rows."""
        rows = [self.first.row, self.second.row, self.inner.row if self.inner is not None else np.zeros(1)]
        known = [row for row in rows if row is not None]
        if len(known) < len(rows):
            return None
        inner = known[2] @ self.second.matrix if self.inner is not None else 0.0
        return self.signs[0] * known[0] + self.signs[1] * (known[1] + inner)

    @property
    def has_bias(self) -> bool:
        """Whether any layer has one."""
        return any(layer.bias is not None for layer in (self.first, self.second, self.inner) if layer is not None)

    @property
    def layers(self) -> tuple[Dense, ...]:
        """All layers that go."""
        return tuple(layer for layer in (self.first, self.second, self.inner) if layer is not None)


class MergeParallelProducts(Rule[Match]):
    """`x W1 + x W2` becomes `x (W1 + W2)`, `x W + (x A) B` becomes `x (W + A B)`, `x W + z W` becomes `(x + z) W`.

    Products are linear in both factors. The second form is a low-rank update (LoRA) that was left
    beside its layer; a scale on it is in its weights by then (`fold-matmul-scale`). Weights are
    computed in float64 and rounded once.
    """

    name = "merge-parallel-products"
    claim = Claim.ROUNDS
    root = ("Add", "Sub")
    since_opset = 7
    requires = (
        Requires[Match]("bias-per-column", "a bias that differs between rows", lambda m: m.row is not None),
        Requires[Match](
            "representable",
            "the sum of the weights overflows",
            lambda m: m.row is None or all(representable(c, m.first.dtype) for c in (m.matrix, m.row)),
        ),
    )
    pays = (
        Pays[Match](
            "sole-users",
            "a branch would be computed on its own too",
            lambda m: all(layer.is_private and facts.sole_user(layer.out) for layer in m.layers),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind both layers; of shared weights both must read tensors of the same shape."""
        a, b = node.inputs
        sign = -1 if node.op_type == "Sub" else 1
        for left, right, order in ((a, b, (1, sign)), (b, a, (sign, 1))):
            first, second = dense_at(left, node), dense_at(right, node)
            if first is None or second is None or first.dtype != second.dtype or first.outputs != second.outputs:
                continue
            if first.transposes_x or second.transposes_x or first.product is second.product:
                continue
            if _kinds_agree(first, second) and (first.x is second.x or _shares_matrix(first, second)):
                return Match(first, second, None, order)
            inner = dense_at(second.x, second.product)
            if inner is not None and inner.x is first.x and not inner.transposes_x:
                return Match(first, second, inner, order)
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One layer, of the operators of the first."""
        row = m.row if m.has_bias else None
        if m.shares_input:
            return [m.first.rebuilt(tape, m.matrix, row)]
        total = _added(tape, m)
        inputs = [total if v is m.first.x else v for v in m.first.product.inputs]
        if m.first.product.op_type == "Gemm":
            bias = m.first.rounded_bias(tape, row)
            made = tape.like(m.first.product, [*inputs[:2], *([bias] if bias is not None else [])])
            return [made]
        product = tape.like(m.first.product, inputs)
        bias = m.first.rounded_bias(tape, row)
        return [product if bias is None else tape.op("Add", [product, bias])]


def _added(tape: Tape, m: Match) -> ir.Value:
    left, right = m.first.x, m.second.x
    if m.signs == (1, 1):
        return tape.op("Add", [left, right])
    return tape.op("Sub", [left, right] if m.signs[0] > 0 else [right, left])


def _kinds_agree(first: Dense, second: Dense) -> bool:
    return first.alpha == second.alpha


def _shares_matrix(first: Dense, second: Dense) -> bool:
    """Whether both are the same matrix on tensors of the same shape, without a scale of their own."""
    same = first.weight is second.weight and first.transposes_weight == second.transposes_weight
    plain = all(layer.alpha == 1 and layer.beta == 1 for layer in (first, second))
    return same and plain and facts.same_shape(first.x, second.x) and first.product.op_type == second.product.op_type
