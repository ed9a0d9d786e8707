"""Compute only the columns of a dense layer that are used."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.linear._dense import Dense, dense_at
from ncgopt.rules.shape._slices import taken


@record
class Match:
    """`Slice(layer)` along the last axis; `columns` are those that it takes."""

    layer: Dense
    columns: tuple[int, ...]


class FoldSliceIntoMatmul(Rule[Match]):
    """`Slice(x W + b)` along the last axis becomes `x W' + b'` with the columns that are taken.

    ROUNDS, because a kernel may add in another order when it makes fewer columns.
    """

    name = "fold-slice-into-matmul"
    claim = Claim.ROUNDS
    root = "Slice"
    since_opset = 7
    requires = (
        Requires[Match]("bias-per-column", "a bias that differs between rows", lambda m: m.layer.row is not None),
    )
    pays = (
        Pays[Match](
            "sole-users",
            "all columns are computed anyway",
            lambda m: m.layer.is_private and facts.sole_user(m.layer.out),
        ),
        Pays[Match](
            "sole-user-weight", "shared weights would be stored twice", lambda m: facts.sole_user(m.layer.weight)
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind a layer of known rank, and the columns."""
        layer = dense_at(node.inputs[0], node)
        rank = facts.rank(layer.out) if layer is not None else None
        if layer is None or rank is None:
            return None
        columns = taken(node, rank - 1, layer.outputs)
        return Match(layer, columns) if columns and len(columns) < layer.outputs else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The layer with fewer columns."""
        columns = list(m.columns)
        if m.layer.row is None:
            raise ValueError("a bias differs between rows")
        row = m.layer.row[columns] if m.layer.bias is not None else None
        return [m.layer.rebuilt(tape, m.layer.matrix[:, columns], row)]
