"""Compute only the channels of a convolution that are used."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Rule, Tape
from ncgopt.rules.convolution._convolution import Convolution, convolution_at
from ncgopt.rules.shape._slices import taken


@record
class Match:
    """`Slice(layer)` along the channels; `channels` are those that it takes."""

    layer: Convolution
    channels: tuple[int, ...]


class FoldSliceIntoConv(Rule[Match]):
    """`Slice(Conv(x, W, b))` along the channels becomes `Conv(x, W', b')` with the rows of these channels.

    ROUNDS, because a kernel may add in another order when it makes fewer channels.
    """

    name = "fold-slice-into-conv"
    claim = Claim.ROUNDS
    root = "Slice"
    unconditional = "a channel depends on its own weights alone"
    pays = (
        Pays[Match]("sole-user", "all channels are computed anyway", lambda m: facts.sole_user(m.layer.out)),
        Pays[Match](
            "sole-user-weight", "shared weights would be stored twice", lambda m: facts.sole_user(m.layer.weight)
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind a convolution that is not in groups, and the channels."""
        layer = convolution_at(node.inputs[0], node, "Conv")
        if layer is None or layer.group != 1 or layer.weights is None:
            return None
        channels = taken(node, 1, layer.channels)
        return Match(layer, channels) if channels and len(channels) < layer.channels else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The convolution with fewer channels."""
        if m.layer.weights is None:
            raise ValueError("the weights are not constant")
        rows = list(m.channels)
        inputs = [m.layer.x, tape.constant(m.layer.weights[rows], name=m.layer.weight.name)]
        if m.layer.bias is not None:
            bias = facts.constant(m.layer.bias)
            kept = m.layer.addend[rows].astype(m.layer.weights.dtype) if bias is None else bias[rows]
            inputs.append(tape.constant(kept, name=m.layer.bias.name))
        return [tape.like(m.layer.node, inputs)]
