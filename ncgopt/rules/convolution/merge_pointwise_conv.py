"""Merge a convolution and a pointwise one, before or behind it."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array
from ncgopt.facts.rounding import representable, rounded
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.convolution._convolution import Convolution, convolution, convolution_at
from ncgopt.rules.convolution._geometry import Geometry, geometry


@record
class Match:
    """`second(first(x))`; one of them, at least, looks at one element at a time."""

    first: Convolution
    second: Convolution
    shapes: tuple[Geometry, Geometry]

    @functools.cached_property
    def merged(self) -> tuple[Array, Array]:
        """Weights and bias of both together, in float64: `[channels, inputs, *kernel]`, `[channels]`."""
        outer, inner = self.second.weights, self.first.weights
        if outer is None or inner is None:
            raise ValueError("the weights are not constant")
        a, b = outer.astype(np.float64), inner.astype(np.float64)
        flat_a, flat_b = a.reshape(*a.shape[:2], -1), b.reshape(*b.shape[:2], -1)
        with np.errstate(all="ignore"):
            weights = np.einsum("omk,mij->oikj", flat_a, flat_b).reshape(a.shape[0], b.shape[1], *self.wide.kernel)
            bias = np.einsum("omk,m->o", flat_a, self.first.addend) + self.second.addend
        return weights, bias

    @property
    def wide(self) -> Geometry:
        """The geometry of the one that is not pointwise, the second if both are."""
        return self.shapes[0] if not self.shapes[0].is_pointwise else self.shapes[1]

    @property
    def fits(self) -> bool:
        """Whether the new constants fit the type; where merging does not pay they are not computed."""
        stored = self.first.weights
        return stored is not None and (self.saved <= 0 or all(representable(c, stored.dtype) for c in self.merged))

    @property
    def unpadded(self) -> bool:
        """Whether no bias of the first stands where the second sees zeros."""
        return not self.shapes[1].is_padded or not self.first.addend.any()

    @property
    def saved(self) -> int:
        """Products per output element of the second that are saved, and with them weights."""
        sizes = [facts.known_size(c.weight) or 0 for c in (self.first, self.second)]
        inputs = (facts.static(self.first.weight) or (0, 0))[1]
        return sum(sizes) - self.second.channels * inputs * int(np.prod(self.wide.kernel))


class MergePointwiseConv(Rule[Match]):
    """`Conv1x1(Conv(x, V), W)` becomes `Conv(x, W V)`, and `Conv(Conv1x1(x, V), W)` likewise, if that is less work.

    Nothing stands between them, so that the product of the weights does the same. Merged in float64 and
    rounded once, the weights are more exact than two convolutions. A bias of the first is not seen in
    the padding of the second.
    """

    name = "merge-pointwise-conv"
    claim = Claim.ROUNDS
    root = "Conv"
    requires = (
        Requires[Match]("padding-without-bias", "padding is zero, not the first bias", lambda m: m.unpadded),
        Requires[Match]("representable", "the product of the weights overflows", lambda m: m.fits),
    )
    pays = (
        Pays[Match]("sole-user", "the first would be computed anyway", lambda m: facts.sole_user(m.first.out)),
        Pays[Match](
            "sole-user-weights",
            "shared weights would be stored twice",
            lambda m: facts.sole_user(m.first.weight) and facts.sole_user(m.second.weight),
        ),
        Pays[Match]("fewer-products", "the merged kernel is larger than both", lambda m: m.saved > 0),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind both convolutions, neither in groups."""
        second = convolution(node)
        first = convolution_at(second.x, node, "Conv") if second is not None else None
        if first is None or second is None or first.group != 1 or second.group != 1:
            return None
        if first.weights is None or second.weights is None:
            return None
        inner, outer = (geometry(c.node, c.weights.shape[2:]) for c in (first, second) if c.weights is not None)
        if inner is None or outer is None:
            return None
        behind = outer.is_pointwise
        before = inner.is_pointwise and inner.steps_by_one
        return Match(first, second, (inner, outer)) if behind or before else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One convolution."""
        weights, bias = m.merged
        dtype = facts.dtype(m.second.weight)
        if dtype is None:
            raise ValueError("the type of the weights is not known")
        inputs = [m.first.x, tape.constant(rounded(weights, dtype.numpy()), name=m.second.weight.name)]
        if m.first.bias is not None or m.second.bias is not None:
            inputs.append(tape.constant(rounded(bias, dtype.numpy())))
        inner, outer = m.shapes
        strides = tuple(a * b for a, b in zip(inner.strides, outer.strides, strict=True))
        attributes = {
            "kernel_shape": m.wide.kernel,
            "dilations": m.wide.dilations,
            "pads": m.wide.pads,
            "strides": strides,
        }
        return [tape.op("Conv", inputs, attributes, name=m.second.node.name)]
