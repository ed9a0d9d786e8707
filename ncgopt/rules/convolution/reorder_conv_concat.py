"""Convolve the parts of a Concat one by one, where most of them are enlarged pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Rule, Tape
from ncgopt.rules.convolution._convolution import Convolution, convolution
from ncgopt.rules.convolution._geometry import geometry


@record
class Match:
    """`layer(Concat(parts))` along the channels; `channels` is how many each part has."""

    layer: Convolution
    concat: ir.Node
    parts: tuple[ir.Value, ...]
    channels: tuple[int, ...]

    @property
    def enlarged(self) -> int:
        """How many parts are enlarged pictures that nothing else needs."""
        resized = (producer_beside(v, self.concat, "Resize") for v in self.parts)
        return sum(node is not None and facts.sole_user(node.outputs[0]) for node in resized)


class ReorderConvConcat(Rule[Match]):
    """`Conv1x1(Concat(x, y), W, b)` becomes `Conv1x1(x, V, b) + Conv1x1(y, U)`, W split by its input channels.

    That is as much work by itself. It pays where the parts are enlarged pictures, before which they are
    then convolved (`reorder-conv-resize`), and where those are layers themselves, into which the new
    weights go: decoders of segmentation transformers.
    """

    name = "reorder-conv-concat"
    claim = Claim.ROUNDS
    root = "Conv"
    unconditional = "a convolution is a sum over its input channels, in whatever parts"
    pays = (
        Pays[Match]("sole-user", "the parts are put together anyway", lambda m: facts.sole_user(m.concat.outputs[0])),
        Pays[Match](
            "mostly-enlarged",
            "as much work as before, in more operators",
            lambda m: m.enlarged >= max(1, len(m.parts) - 1),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind a pointwise convolution of all channels, and parts of known channels."""
        layer = convolution(node)
        concat = producer_beside(layer.x, node, "Concat") if layer is not None else None
        if layer is None or layer.weights is None or concat is None or layer.group != 1 or len(concat.inputs) < 2:
            return None
        shape = geometry(node, layer.weights.shape[2:])
        if shape is None or not shape.is_pointwise or facts.int_attribute(concat, "axis") != 1:
            return None
        parts = tuple(v for v in concat.inputs if v is not None)
        shapes = [facts.shape(v) for v in parts]
        channels = [s[1] for s in shapes if s is not None and len(s) == layer.weights.ndim]
        known = tuple(c for c in channels if isinstance(c, int))
        if len(known) != len(concat.inputs) or sum(known) != layer.weights.shape[1]:
            return None
        return Match(layer, concat, parts, known)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One convolution for each part, the bias in the last, and their sum."""
        if m.layer.weights is None:
            raise ValueError("the weights are not constant")
        ends = np.cumsum(m.channels)
        total: ir.Value | None = None
        for part, end, count in zip(m.parts, ends, m.channels, strict=True):
            weight = tape.constant(m.layer.weights[:, end - count : end], name=m.layer.weight.name)
            bias = [m.layer.bias] if m.layer.bias is not None and end == ends[-1] else []
            made = tape.like(m.layer.node, [part, weight, *bias])
            total = made if total is None else tape.op("Add", [total, made])
        if total is None:
            raise ValueError("nothing is put together")
        return [total]
