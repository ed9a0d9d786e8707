"""A convolution into whose weights and bias something can be folded."""

from __future__ import annotations

import functools

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside, vector
from ncgopt.facts.constants import Array
from ncgopt.facts.rounding import rounded
from ncgopt.records import record
from ncgopt.rewrite import Tape


@record
class Convolution:
    """A Conv or ConvTranspose with weights of known shape and a constant bias or none.

    Attributes:
        channels: of the output.
        shape: of the output; rank and channels (axis 1) are always known, from the weights.
    """

    node: ir.Node
    x: ir.Value
    weight: ir.Value
    bias: ir.Value | None
    group: int
    channels: int
    shape: facts.Shape

    @property
    def out(self) -> ir.Value:
        """The convolution's output."""
        return self.node.outputs[0]

    @functools.cached_property
    def addend(self) -> Array:
        """The bias in float64, `[channels]`; zeros where there is none."""
        known = vector(self.bias, self.channels)
        return np.zeros(self.channels) if known is None else known

    @functools.cached_property
    def weights(self) -> Array | None:
        """The weights as they are stored; None where they are not constant."""
        return facts.constant(self.weight)

    def scaled(self, factor: Array) -> Array:
        """Constant weights in float64 with each output channel multiplied by its entry of `factor`.

        Conv stores `[channels, inputs / group, *kernel]`, ConvTranspose `[inputs, channels / group,
        *kernel]`, where the first dimension holds the groups one after the other.
        """
        if self.weights is None:
            raise ValueError("the weights are not constant")
        exact = self.weights.astype(np.float64)
        with np.errstate(all="ignore"):
            if self.node.op_type == "Conv":
                return exact * factor.reshape(-1, *[1] * (exact.ndim - 1))
            per_group = exact.shape[1]
            grouped = exact.reshape(self.group, -1, per_group, *exact.shape[2:])
            return (grouped * factor.reshape(self.group, 1, per_group, *[1] * (exact.ndim - 2))).reshape(exact.shape)

    def rebuilt(self, tape: Tape, weights: Array | None, bias: Array | None) -> ir.Value:
        """Record the same convolution with other weights or bias (None: its own), rounded to its type."""
        dtype = facts.dtype(self.weight)
        if dtype is None:
            raise ValueError("the type of the weights is not known")
        weight, addend = self.weight, self.bias
        if weights is not None:
            weight = tape.constant(rounded(weights, dtype.numpy()), name=weight.name)
        if bias is not None:
            addend = tape.constant(rounded(bias, dtype.numpy()), name=addend.name if addend is not None else None)
        return tape.like(self.node, [self.x, weight] if addend is None else [self.x, weight, addend])


def convolution_at(value: ir.Value | None, root: ir.Node, *op_types: str) -> Convolution | None:
    """The convolution that produces `value` in the same graph as `root`; None where there is none.

    Args:
        value: the output of the convolution.
        root: the node that is being looked at.
        op_types: "Conv", "ConvTranspose" or both.
    """
    node = producer_beside(value, root, *op_types)
    return None if node is None else convolution(node)


def convolution(node: ir.Node) -> Convolution | None:
    """The Conv or ConvTranspose `node` as a Convolution; None where its weights' shape or its bias is not known."""
    x, weight, bias = (facts.input_of(node, k) for k in range(3))
    group = facts.int_attribute(node, "group")
    sizes = facts.static(weight) if weight is not None else None
    if x is None or weight is None or group is None or sizes is None or len(sizes) < 3 or 0 in sizes:
        return None
    channels = sizes[0] if node.op_type == "Conv" else sizes[1] * group
    if bias is not None and vector(bias, channels) is None:
        return None
    known = facts.shape(node.outputs[0])
    batch, *spatial = (
        (known[0], *known[2:]) if known is not None and len(known) == len(sizes) else (None,) * (len(sizes) - 1)
    )
    return Convolution(node, x, weight, bias, group, channels, (batch, channels, *spatial))
