"""Fold a channel shuffle into the weights of the convolution that reads it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Rule, Tape
from ncgopt.rules.convolution._convolution import Convolution, convolution
from ncgopt.rules.shape._permutations import permutation


@record
class Match:
    """`layer(Reshape(Transpose(Reshape(x))))`: channels read as a table of `rows` x `columns`, column by column."""

    layer: Convolution
    values: tuple[ir.Value, ...]
    x: ir.Value
    rows: int
    columns: int


class FoldChannelShuffleIntoConv(Rule[Match]):
    """`Conv(shuffle(x), W)` becomes `Conv(x, W')`, the input channels of W in the order of x.

    A shuffle is a Reshape of the channels to groups, a Transpose and a Reshape back (ShuffleNet). ROUNDS,
    as sums over channels are taken in another order.
    """

    name = "fold-channel-shuffle-into-conv"
    claim = Claim.ROUNDS
    root = "Conv"
    unconditional = "a sum over the input channels does not depend on their order"
    pays = (
        Pays[Match](
            "sole-users", "the channels are shuffled anyway", lambda m: all(facts.sole_user(v) for v in m.values)
        ),
        Pays[Match](
            "sole-user-weight", "shared weights would be stored twice", lambda m: facts.sole_user(m.layer.weight)
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind a convolution that is not in groups, and a shuffle whose shapes are known around the channels."""
        layer = convolution(node)
        back = producer_beside(layer.x, node, "Reshape") if layer is not None else None
        turn = producer_beside(back.inputs[0], node, "Transpose") if back is not None else None
        table = producer_beside(turn.inputs[0], node, "Reshape") if turn is not None else None
        if layer is None or back is None or turn is None or table is None or layer.group != 1 or layer.weights is None:
            return None
        x = table.inputs[0]
        before, split = (facts.shape(v) if v is not None else None for v in (x, table.outputs[0]))
        after = facts.shape(back.outputs[0])
        if x is None or before is None or split is None or after != before or None in before or len(before) < 3:
            return None
        rows, columns = (*split, None, None, None)[1:3]
        if (
            not isinstance(rows, int)
            or not isinstance(columns, int)
            or split != (before[0], rows, columns, *before[2:])
        ):
            return None
        if before[1] != rows * columns or permutation(turn) != (0, 2, 1, *range(3, len(split))):
            return None
        values = (table.outputs[0], turn.outputs[0], back.outputs[0])
        return Match(layer, values, x, rows, columns)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The convolution of x, its weights in another order."""
        if m.layer.weights is None:
            raise ValueError("the weights are not constant")
        # Channel c * rows + r of what is read is channel r * columns + c of x.
        read = np.arange(m.rows * m.columns).reshape(m.columns, m.rows).T.reshape(-1)
        weight = tape.constant(m.layer.weights[:, read], name=m.layer.weight.name)
        return [tape.like(m.layer.node, [m.x, weight, *m.layer.node.inputs[2:]])]
