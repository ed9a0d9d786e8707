"""Let a convolution read its channels where they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.constants import Array
from ncgopt.facts.operands import normalized_axes
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape


@record
class Match:
    """`out = Conv(Gather(x, order, axis=1), W, b)`.

    Attributes:
        order: which channel of `x` each channel of the convolution is.
        channels: of `x`; None where they are not known.
    """

    conv: ir.Node
    gather: ir.Node
    x: ir.Value
    channels: int | None
    order: tuple[int, ...]
    weight: ir.Value
    weights: Array

    @property
    def is_permutation(self) -> bool:
        """Whether every channel is read exactly once."""
        return self.channels is not None and sorted(self.order) == list(range(self.channels))


class FoldGatherIntoConv(Rule[Match]):
    """`Conv(Gather(x, order, axis=1), W)` becomes `Conv(x, W')`, the channels of W in the other order.

    A convolution without groups sums over all its channels, in whatever order. With groups (one per
    channel as well) the order decides which channels meet.
    """

    name = "fold-gather-into-conv"
    claim = Claim.ROUNDS
    root = "Conv"
    since_opset = 1
    requires = (
        Requires[Match]("permutation", "channels are left out or read twice", lambda m: m.is_permutation),
        Requires[Match](
            "one-group", "channels would change their group", lambda m: facts.int_attribute(m.conv, "group") == 1
        ),
    )
    pays = (
        Pays[Match](
            "sole-user", "the Gather stays for its other users", lambda m: facts.sole_user(m.gather.outputs[0])
        ),
        Pays[Match]("sole-user-weight", "shared weights would be stored twice", lambda m: facts.sole_user(m.weight)),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the order of the channels and the weights."""
        gather, weight = producer_beside(facts.input_of(node, 0), node, "Gather"), facts.input_of(node, 1)
        if gather is None or weight is None:
            return None
        weights = facts.constant(weight)
        if weights is None:
            return None
        x, indices, axis = facts.input_of(gather, 0), facts.input_of(gather, 1), facts.int_attribute(gather, "axis")
        if x is None or indices is None or axis is None:
            return None
        order, dims = facts.constant(indices), facts.shape(x)
        if order is None or order.ndim != 1 or dims is None or normalized_axes((axis,), len(dims)) != (1,):
            return None
        channels = dims[1] if isinstance(dims[1], int) else None
        counted = [int(k) + (channels or 0) if k < 0 else int(k) for k in order]
        return Match(node, gather, x, channels, tuple(counted), weight, weights)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The convolution of `x`."""
        inverse = np.argsort(np.array(m.order))
        weight = tape.constant(np.take(m.weights, inverse, axis=1), name=m.weight.name)
        return [tape.like(m.conv, [m.x, weight, *m.conv.inputs[2:]])]
