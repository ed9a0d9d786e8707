"""Multiply the rows of a table before they are looked up."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.constants import Array
from ncgopt.facts.rounding import rounded
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.linear._dense import Dense, bias_follows, dense


@record
class Match:
    """`layer` reads `gather`, rows of `table`."""

    layer: Dense
    gather: ir.Node
    table: ir.Value

    @functools.cached_property
    def product(self) -> Array:
        """The layer's result for every row of the table, in float64."""
        rows, bias = facts.constant(self.table), self.layer.row
        if rows is None or bias is None:
            raise ValueError("the table is not constant, or the bias differs between rows")
        with np.errstate(all="ignore"):
            return rows.astype(np.float64) @ self.layer.matrix + bias

    @property
    def is_smaller(self) -> bool:
        """Whether the new table takes no more than what it replaces."""
        sizes = facts.static(self.table)
        if sizes is None:
            return False
        private = [v for v in (self.table, self.layer.weight) if facts.sole_user(v)]
        return sizes[0] * self.layer.outputs <= sum(facts.known_size(v) or 0 for v in private)


class FoldGatherMatmul(Rule[Match]):
    """`Gather(E, i) W + b` becomes `Gather(E W + b, i)`, where that table is not larger than E and W.

    Each row of the result is a row of E times W. The product is computed in float64 and rounded once;
    where it overflows, so does the original's.
    """

    name = "fold-gather-matmul"
    claim = Claim.ROUNDS
    root = ("MatMul", "Add", "Gemm")
    since_opset = 7
    requires = (
        Requires[Match]("bias-per-column", "a bias that differs between rows", lambda m: m.layer.row is not None),
    )
    pays = (
        Pays[Match](
            "sole-users",
            "the rows would be looked up twice",
            lambda m: m.layer.is_private and facts.sole_user(m.gather.outputs[0]),
        ),
        Pays[Match]("smaller-table", "the new table is larger than what it replaces", lambda m: m.is_smaller),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind a layer and the Gather along the rows of a constant matrix; a bias that follows comes along."""
        layer = dense(node)
        gather = producer_beside(layer.x, node, "Gather") if layer is not None else None
        if layer is None or gather is None or layer.transposes_x:
            return None
        table = gather.inputs[0]
        if table is None or not facts.is_constant(table) or facts.rank(table) != 2:
            return None
        if facts.int_attribute(gather, "axis") != 0 or (node.op_type == "MatMul" and bias_follows(node)):
            return None
        return Match(layer, gather, table)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One Gather."""
        table = tape.constant(rounded(m.product, m.layer.dtype), name=m.table.name)
        return [tape.like(m.gather, [table, m.gather.inputs[1]])]
