"""Merge two convolutions of the same input whose results are added."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import affine_at
from ncgopt.facts.constants import Array
from ncgopt.facts.rounding import representable, rounded
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.convolution._convolution import Convolution, convolution_at
from ncgopt.rules.convolution._geometry import Geometry, geometry


@record
class Branch:
    """One summand as a convolution of x: weights as they are stored, bias in float64, and where its windows lie."""

    weights: Array
    bias: Array
    shape: Geometry
    convolution: Convolution | None
    values: tuple[ir.Value, ...]


@record
class Match:
    """`sum = large + sign * small`, both of the same x; `offset` is where the smaller kernel lies in the larger."""

    sum: ir.Node
    large: Branch
    small: Branch
    offset: tuple[int, ...]
    signs: tuple[int, int]

    @functools.cached_property
    def merged(self) -> tuple[Array, Array]:
        """Weights and bias of the sum in float64."""
        weights = self.large.weights.astype(np.float64) * self.signs[0]
        place = tuple(slice(o, o + k) for o, k in zip(self.offset, self.small.weights.shape[2:], strict=True))
        weights[(slice(None), slice(None), *place)] += self.signs[1] * self.small.weights.astype(np.float64)
        return weights, self.signs[0] * self.large.bias + self.signs[1] * self.small.bias

    @property
    def fits(self) -> bool:
        """Whether they fit the type of the weights."""
        stored = self.large.convolution.weights if self.large.convolution is not None else None
        return stored is not None and all(representable(c, stored.dtype) for c in self.merged)


class MergeParallelConvolutions(Rule[Match]):
    """`Conv(x, V) + Conv(x, W)` becomes `Conv(x, V + W)`; also the difference.

    Convolutions are linear in their weights. Kernels may differ in size where the smaller one lies
    within the windows of the larger: RepVGG's branches of 3 x 3 and 1 x 1, and that of a
    BatchNormalization (or a scale), which is a 1 x 1 kernel with a diagonal.
    """

    name = "merge-parallel-convolutions"
    claim = Claim.ROUNDS
    root = ("Add", "Sub")
    since_opset = 7
    requires = (Requires[Match]("representable", "the sum of the weights overflows", lambda m: m.fits),)
    pays = (
        Pays[Match](
            "sole-users",
            "a branch would be computed on its own too",
            lambda m: all(facts.sole_user(v) for v in (*m.large.values, *m.small.values)),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind both branches, the larger kernel first."""
        a, b = node.inputs
        signs = (1, -1 if node.op_type == "Sub" else 1)
        for left, right, order in ((a, b, signs), (b, a, (signs[1], signs[0]))):
            large = _convolution_branch(left, node)
            if large is None or large.convolution is None:
                continue
            small = _convolution_branch(right, node) or _diagonal_branch(right, node, large.convolution, large.shape)
            if small is None or not _same_input(large, small):
                continue
            offset = _offset(large.shape, small.shape)
            if offset is not None:
                return Match(node, large, small, offset, order)
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One convolution."""
        layer = m.large.convolution
        dtype = facts.dtype(layer.weight) if layer is not None else None
        if layer is None or dtype is None:
            raise ValueError("the type of the weights is not known")
        weights, bias = m.merged
        inputs = [layer.x, tape.constant(rounded(weights, dtype.numpy()), name=layer.weight.name)]
        if bias.any() or layer.bias is not None:
            inputs.append(tape.constant(rounded(bias, dtype.numpy())))
        return [tape.like(layer.node, inputs)]


def _convolution_branch(value: ir.Value | None, root: ir.Node) -> Branch | None:
    layer = convolution_at(value, root, "Conv")
    if layer is None or layer.weights is None:
        return None
    shape = geometry(layer.node, layer.weights.shape[2:])
    if shape is None:
        return None
    return Branch(layer.weights, layer.addend, shape, layer, (layer.out, layer.weight))


def _diagonal_branch(value: ir.Value | None, root: ir.Node, beside: Convolution, shape: Geometry) -> Branch | None:
    """A scale and a shift of the channels of `beside`'s input, as a kernel of one element."""
    if beside.weights is None or not shape.steps_by_one:
        return None
    per_group, rank = beside.weights.shape[1], beside.weights.ndim
    if beside.channels != per_group * beside.group:
        return None
    step = affine_at(value, root, beside.channels, rank)
    if step is None or step.x is not beside.x or not shape.preserves_size:
        return None
    weights = np.zeros((beside.channels, per_group))
    rows = np.arange(beside.channels)
    weights[rows, rows % per_group] = step.factor
    ones = (1,) * (rank - 2)
    point = Geometry(ones, ones, ones, (0,) * (rank - 2), (0,) * (rank - 2))
    return Branch(weights.reshape(*weights.shape, *ones), step.addend, point, None, (step.node.outputs[0],))


def _same_input(large: Branch, small: Branch) -> bool:
    if small.convolution is None or large.convolution is None:
        return True
    a, b = large.convolution, small.convolution
    return a.x is b.x and a.group == b.group and large.weights.shape[:2] == small.weights.shape[:2]


def _offset(large: Geometry, small: Geometry) -> tuple[int, ...] | None:
    """The tap of the larger kernel that the smaller one's first lies on, per axis; None where windows differ."""
    if large.strides != small.strides:
        return None
    found: list[int] = []
    for k in range(len(large.kernel)):
        step = large.dilations[k]
        if small.kernel[k] > 1 and small.dilations[k] != step:
            return None
        first, rest = divmod(large.begins[k] - small.begins[k], step)
        reach = [g.begins[k] + g.ends[k] - g.dilations[k] * (g.kernel[k] - 1) for g in (large, small)]
        if rest or first < 0 or first + small.kernel[k] > large.kernel[k] or reach[0] != reach[1]:
            return None
        found.append(first)
    return tuple(found)
