"""Compute several neighbouring elements of a convolution with few channels as channels of their own."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Rule, Tape
from ncgopt.rules.convolution._convolution import Convolution, convolution
from ncgopt.rules.convolution._geometry import Geometry, geometry
from ncgopt.settings import Target

_BLOCK = 8  # channels that the kernel computes together, at least
_MOST_PHASES = 16
_LEAST_GAIN = 1.4  # by the count of products; below, bringing the elements into order costs what is saved


@record
class Match:
    """`layer(x)` with an output of known height and width."""

    layer: Convolution
    shape: Geometry
    width: int
    height: int
    out: tuple[int, int]

    def cost(self, phases: int) -> float:
        """Products along a row for each element, those that fill a block included."""
        channels = self.layer.channels * phases
        taps = self.shape.kernel[1] + (phases - 1) * self.shape.strides[1]
        return taps * -(-channels // _BLOCK) * _BLOCK / channels

    @functools.cached_property
    def phases(self) -> int:
        """How many neighbours become channels: the cheapest number that divides the width."""
        divisors = [s for s in range(1, _MOST_PHASES + 1) if self.out[1] % s == 0]
        return min(divisors, key=self.cost)

    @property
    def weights(self) -> Array:
        """`[channels * phases, inputs, height, width]`: one shifted copy of the kernel for each neighbour."""
        stored = self.layer.weights
        if stored is None:
            raise ValueError("the weights are not constant")
        channels, inputs, height, width = stored.shape
        stride = self.shape.strides[1]
        made = np.zeros((channels, self.phases, inputs, height, width + (self.phases - 1) * stride), stored.dtype)
        for phase in range(self.phases):
            made[:, phase, :, :, phase * stride : phase * stride + width] = stored
        return made.reshape(channels * self.phases, inputs, height, -1)


class ReplaceFewChannelConv(Rule[Match]):
    """`Conv(x, W)` with one to seven channels becomes a Conv with `s` times as many at every `s`-th place.

    ONNX Runtime's kernels compute channels in blocks of eight, of which few are used then. Neighbours
    along a row become channels: each has the kernel, shifted, and the result is brought into order
    by Reshape and Transpose. For a long kernel the zeros that come in are less than the block's unused
    part: `make bench-rules` shows 1/2.5 to 1/2.9 of the time (ONNX Runtime 1.32, 1 thread).
    """

    name = "replace-few-channel-conv"
    claim = Claim.ROUNDS
    root = "Conv"
    since_opset = 5
    targets = frozenset({Target.ONNXRUNTIME})
    unconditional = "every element is the same sum of products; the products with zeros come in besides"
    pays = (
        Pays[Match](
            "fewer-products",
            "a short kernel, or a width that nothing divides",
            lambda m: m.cost(m.phases) * _LEAST_GAIN <= m.cost(1),
        ),
        Pays[Match]("sole-user-weight", "shared weights stay as well", lambda m: facts.sole_user(m.layer.weight)),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind a convolution in two dimensions of a blocked input, of known height and width."""
        layer = convolution(node)
        if layer is None or layer.weights is None or layer.weights.ndim != 4 or layer.group != 1:
            return None
        shape, sizes = geometry(node, layer.weights.shape[2:]), facts.shape(layer.x)
        if shape is None or sizes is None or len(sizes) != 4 or facts.dtype(layer.x) != ir.DataType.FLOAT:
            return None
        height, width = sizes[2:]
        if not isinstance(height, int) or not isinstance(width, int) or shape.dilations[1] != 1:
            return None
        if layer.channels >= _BLOCK or layer.weights.shape[1] % _BLOCK:
            return None
        out = [_count(size, shape, axis) for axis, size in enumerate((height, width))]
        found = Match(layer, shape, width, height, (out[0], out[1]))
        return found if min(out) > 0 and found.phases > 1 else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The convolution at every `s`-th place, and the elements in order."""
        weights, (rows, columns) = m.weights, m.out
        stride = m.shape.strides[1]
        # As far right as the last window reaches: what the padding adds beyond is not looked at.
        end = max(0, (columns - 1) * stride + m.shape.kernel[1] - m.width - m.shape.begins[1])
        attributes = {
            "kernel_shape": weights.shape[2:],
            "strides": (m.shape.strides[0], stride * m.phases),
            "pads": (*m.shape.begins, m.shape.ends[0], end),
            "dilations": (m.shape.dilations[0], 1),
        }
        inputs = [m.layer.x, tape.constant(weights, name=m.layer.weight.name)]
        if m.layer.bias is not None:
            inputs.append(tape.constant(np.repeat(m.layer.addend, m.phases).astype(weights.dtype)))
        made = tape.op("Conv", inputs, attributes, name=m.layer.node.name)
        apart = _target(tape, 0, m.layer.channels, m.phases, rows, columns // m.phases)
        order = tape.op("Transpose", [tape.op("Reshape", [made, apart])], {"perm": (0, 1, 3, 4, 2)})
        return [tape.op("Reshape", [order, _target(tape, 0, m.layer.channels, rows, columns)])]


def _count(size: int, shape: Geometry, axis: int) -> int:
    reach = shape.dilations[axis] * (shape.kernel[axis] - 1) + 1
    return (size + shape.begins[axis] + shape.ends[axis] - reach) // shape.strides[axis] + 1


def _target(tape: Tape, *sizes: int) -> ir.Value:
    return tape.constant(np.array(sizes, np.int64))
