"""Convolve a picture before it is doubled by repetition: four small kernels do what a larger one does behind."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.constants import Array
from ncgopt.facts.rounding import representable, rounded
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.convolution._convolution import Convolution, convolution
from ncgopt.rules.convolution._geometry import geometry
from ncgopt.settings import Target

# Which of the three taps fall on the element before, itself and the element behind, per phase.
_PHASES = (((0,), (1, 2)), ((0, 1), (2,)))
_REPEATS = frozenset(
    {("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil")}
)


@record
class Match:
    """`layer(resize(x))`, a kernel of 3 x 3 on a picture whose rows and columns each come twice."""

    layer: Convolution
    resize: ir.Node

    @property
    def weights(self) -> tuple[Array, ...]:
        """The kernels of 2 x 2 in float64, one for each place in a block of 2 x 2 elements."""
        stored = self.layer.weights
        if stored is None:
            raise ValueError("the weights are not constant")
        exact = stored.astype(np.float64)
        found: list[Array] = []
        for rows, columns in itertools.product(_PHASES, repeat=2):
            kernel = np.stack([exact[:, :, list(r)].sum(axis=2) for r in rows], axis=2)
            found.append(np.stack([kernel[..., list(c)].sum(axis=3) for c in columns], axis=3))
        return tuple(found)

    @property
    def fits(self) -> bool:
        """Whether the sums of weights fit their type."""
        stored = self.layer.weights
        return stored is not None and all(representable(w, stored.dtype) for w in self.weights)


class ReplaceConvOfUpsampled(Rule[Match]):
    """`Conv3x3(Resize(x, 2, nearest), W)` becomes `DepthToSpace(Concat(four Conv2x2(x)))`.

    Where every row and column comes twice, the three taps of a kernel see two different elements: taps
    on the same one are added up beforehand. 16 products instead of 36 for each element of x and pair of
    channels. Zeros around the doubled picture are zeros around x.
    """

    name = "replace-conv-of-upsampled"
    claim = Claim.ROUNDS
    root = "Conv"
    since_opset = 11
    targets = frozenset({Target.ONNXRUNTIME})  # more operators; measured there
    requires = (Requires[Match]("representable", "a sum of weights overflows", lambda m: m.fits),)
    pays = (
        Pays[Match]("sole-user", "the doubled picture stays anyway", lambda m: facts.sole_user(m.resize.outputs[0])),
        Pays[Match]("sole-user-weight", "shared weights stay as well", lambda m: facts.sole_user(m.layer.weight)),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind a convolution that keeps the size of a picture doubled by repetition."""
        layer = convolution(node)
        resize = producer_beside(layer.x, node, "Resize") if layer is not None else None
        if layer is None or layer.weights is None or resize is None or layer.group != 1 or layer.weights.ndim != 4:
            return None
        shape = geometry(node, layer.weights.shape[2:])
        if shape is None or shape.kernel != (3, 3) or shape.begins != (1, 1) or not shape.preserves_size:
            return None
        return Match(layer, resize) if shape.dilations == (1, 1) and _doubles(resize) else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """Four convolutions, one for each place in a block, and the blocks."""
        dtype = facts.dtype(m.layer.weight)
        if dtype is None:
            raise ValueError("the type of the weights is not known")
        bias = [m.layer.bias] if m.layer.bias is not None else []
        parts: list[ir.Value | None] = []
        for (row, column), weights in zip(itertools.product((0, 1), repeat=2), m.weights, strict=True):
            pads = (1 - row, 1 - column, row, column)
            kernel = tape.constant(rounded(weights, dtype.numpy()), name=m.layer.weight.name)
            parts.append(tape.op("Conv", [m.resize.inputs[0], kernel, *bias], {"kernel_shape": (2, 2), "pads": pads}))
        return [tape.op("DepthToSpace", [tape.op("Concat", parts, {"axis": 1})], {"blocksize": 2})]


def _doubles(resize: ir.Node) -> bool:
    """Whether element k of the result is element floor(k / 2), in both directions."""
    scales = facts.constant(facts.input_of(resize, 2))
    if scales is None or list(scales.reshape(-1)) != [1, 1, 2, 2] or facts.is_set(resize, "axes"):
        return False
    modes = (
        facts.string_attribute(resize, "coordinate_transformation_mode"),
        facts.string_attribute(resize, "nearest_mode"),
    )
    return facts.string_attribute(resize, "mode") == "nearest" and modes in _REPEATS
