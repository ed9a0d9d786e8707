"""Merge consecutive dense layers with nothing between them."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array
from ncgopt.facts.rounding import representable, rounded
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.linear._dense import Dense, bias_follows, dense, dense_at, gemm


@record
class Match:
    """`out = second(first(x))`."""

    first: Dense
    second: Dense

    @functools.cached_property
    def matrix(self) -> Array:
        """The product of both weights in float64."""
        with np.errstate(all="ignore"):
            return self.first.matrix @ self.second.matrix

    @functools.cached_property
    def row(self) -> Array:
        """The first bias taken through the second layer, plus the second bias, in float64."""
        if self.first.row is None or self.second.row is None:
            raise ValueError("a bias differs between rows")
        with np.errstate(all="ignore"):
            return self.first.row @ self.second.matrix + self.second.row

    @property
    def has_bias(self) -> bool:
        """Whether either layer has one."""
        return self.first.bias is not None or self.second.bias is not None

    @property
    def fits(self) -> bool:
        """Whether the merged constants fit the layers' type.

        Where merging does not pay, it is refused anyway: large products are not computed in vain.
        """
        if not self.is_private or self.saved <= 0:
            return True
        return all(representable(c, self.first.dtype) for c in (self.matrix, self.row))

    @property
    def is_private(self) -> bool:
        """Whether nothing else uses what lies between the first product and the last node."""
        return self.first.is_private and self.second.is_private and facts.sole_user(self.first.out)

    @property
    def saved(self) -> int:
        """How many constants fewer have to be stored; those that others use stay in any case."""
        mine = (*self.first.nodes, *self.second.nodes)
        parts = {self.first.weight, self.first.bias, self.second.weight, self.second.bias}
        private = (v for v in parts if v is not None and not _used_elsewhere(v, mine))
        merged = (self.first.inputs + self.has_bias) * self.second.outputs
        return sum(math.prod(facts.static(v) or ()) for v in private) - merged


class MergeLinearLayers(Rule[Match]):
    """`(x W1 + b1) W2 + b2` becomes `x (W1 W2) + (b1 W2 + b2)`, if that is less work and less to store.

    Matrix products are associative. Both layers may be a Gemm, a MatMul or a MatMul with an Add. For
    each row of x the products cost twice the number of weights, so fewer weights mean fewer FLOPs;
    a bottleneck (LoRA, factorized embeddings) stays as it is. Merged in float64 and rounded once, the
    weights are more exact than two layers computed one after the other.
    """

    name = "merge-linear-layers"
    claim = Claim.ROUNDS
    root = ("Gemm", "MatMul", "Add")
    since_opset = 7
    requires = (
        Requires[Match](
            "bias-per-column",
            "a bias that differs between rows does not pass through the product as one row",
            lambda m: m.first.row is not None and m.second.row is not None,
        ),
        Requires[Match]("representable", "the product of the weights overflows", lambda m: m.fits, costly=True),
    )
    pays = (
        Pays[Match]("sole-user", "the first layer would be computed anyway", lambda m: m.is_private),
        Pays[Match]("fewer-weights", "the merged layer is larger than both", lambda m: m.saved > 0),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind both layers; a MatMul whose bias follows waits for its Add."""
        second = dense(node)
        if second is None or second.transposes_x:
            return None
        first = dense_at(second.x, second.product)
        if first is None or (node.op_type == "MatMul" and bias_follows(node)):
            return None
        return Match(first, second)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One layer: a Gemm if either was one, which only rank 2 can have been."""
        row = m.row if m.has_bias else None
        if "Gemm" not in (m.first.product.op_type, m.second.product.op_type):
            return [m.first.rebuilt(tape, m.matrix, row)]
        weight = tape.constant(rounded(m.matrix, m.first.dtype), name=m.first.weight.name)
        return [gemm(tape, m.first.x, weight, m.first.rounded_bias(tape, row), m.first.transposes_x, False)]


def _used_elsewhere(value: ir.Value, nodes: Sequence[ir.Node]) -> bool:
    return value.is_graph_output() or any(use.node not in nodes for use in value.uses())
