"""Average before a pointwise convolution, not behind it."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.operands import ints_operand, normalized_axes
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.convolution._convolution import Convolution, convolution_at
from ncgopt.rules.convolution._geometry import geometry


@record
class Match:
    """`pool(layer(x))`."""

    pool: ir.Node
    layer: Convolution

    @property
    def is_pointwise(self) -> bool:
        """Whether each element of the convolution is made of one element of each input channel, all of them."""
        sizes = facts.static(self.layer.weight)
        found = geometry(self.layer.node, sizes[2:]) if sizes is not None else None
        return found is not None and found.is_pointwise and found.steps_by_one

    @property
    def bias_counts_fully(self) -> bool:
        """Whether the bias comes out whole: averaged with padding, it comes out as a part."""
        if self.pool.op_type != "AveragePool" or not self.layer.addend.any():
            return True
        found = geometry(self.pool)
        counts = facts.int_attribute(self.pool, "count_include_pad")
        ceil = facts.int_attribute(self.pool, "ceil_mode") if (self.pool.version or 1) >= 10 else 0
        return found is not None and (not found.is_padded or counts == 0) and (ceil == 0 or counts == 0)

    @property
    def shrinks(self) -> bool:
        """Whether the pool leaves fewer elements."""
        if self.pool.op_type != "AveragePool":
            spatial = self.layer.shape[2:]
            return any(dim != 1 for dim in spatial)
        found = geometry(self.pool)
        return found is not None and max(found.strides) > 1


class ReorderConvAveragePool(Rule[Match]):
    """`AveragePool(Conv1x1(x, W, b))` becomes `Conv1x1(AveragePool(x), W, b)`; of all of the picture likewise.

    Both are linear, one in the channels, the other in the places, and an average of b is b. The
    products then count once for each element of the smaller tensor.
    """

    name = "reorder-conv-average-pool"
    claim = Claim.ROUNDS
    root = ("GlobalAveragePool", "AveragePool", "ReduceMean")
    requires = (
        Requires[Match]("pointwise", "padding, or elements that the convolution leaves out", lambda m: m.is_pointwise),
        Requires[Match](
            "whole-bias", "averaged with padding, only a part of the bias comes out", lambda m: m.bias_counts_fully
        ),
    )
    pays = (
        Pays[Match]("sole-user", "the convolution would be computed twice", lambda m: facts.sole_user(m.layer.out)),
        Pays[Match]("shrinks", "as many elements as before", lambda m: m.shrinks),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the convolution."""
        layer = convolution_at(node.inputs[0], node, "Conv")
        if layer is None or (node.op_type == "ReduceMean" and not _averages_pictures(node, len(layer.shape))):
            return None
        return Match(node, layer)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The pool, then the convolution."""
        pooled = tape.like(m.pool, [m.layer.x, *m.pool.inputs[1:]])
        return [tape.like(m.layer.node, [pooled, *m.layer.node.inputs[1:]])]


def _averages_pictures(node: ir.Node, rank: int) -> bool:
    """Whether a ReduceMean is over all spatial axes, and keeps them."""
    axes = ints_operand(node, "axes", 1)
    counted = normalized_axes(axes, rank) if axes else None
    return facts.int_attribute(node, "keepdims") == 1 and counted is not None and sorted(counted) == [*range(2, rank)]
