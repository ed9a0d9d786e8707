"""Convolve before a picture is enlarged, not behind."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.convolution._convolution import Convolution, convolution
from ncgopt.rules.convolution._geometry import geometry


@record
class Match:
    """`layer(resize(x))`."""

    layer: Convolution
    resize: ir.Node
    scales: tuple[float, ...]

    @property
    def is_pointwise(self) -> bool:
        """Whether each element is made of one element of each input channel, all of them."""
        sizes = facts.static(self.layer.weight)
        found = geometry(self.layer.node, sizes[2:]) if sizes is not None else None
        return found is not None and found.is_pointwise and found.steps_by_one

    @property
    def averages(self) -> bool:
        """Whether each element is an average of x's, with weights that add up to one."""
        mode = facts.string_attribute(self.resize, "mode")
        if mode not in ("nearest", "linear"):
            return False
        crops = facts.string_attribute(self.resize, "coordinate_transformation_mode") == "tf_crop_and_resize"
        return not crops

    @property
    def enlarges(self) -> bool:
        """Whether there are more elements behind than before."""
        return all(s >= 1 for s in self.scales) and max(self.scales) > 1


class ReorderConvResize(Rule[Match]):
    """`Conv1x1(Resize(x), W, b)` becomes `Resize(Conv1x1(x, W, b))`, nearest or linear, where the picture grows.

    Interpolation takes the same weighted average in every channel, and the weights add up to one, so
    that the bias comes out whole. The products then count once for each element of the smaller picture.
    """

    name = "reorder-conv-resize"
    claim = Claim.ROUNDS
    root = "Conv"
    requires = (
        Requires[Match]("pointwise", "a larger kernel sees neighbours, or padding", lambda m: m.is_pointwise),
        Requires[Match]("averages", "weights that do not add up to one", lambda m: m.averages),
        Requires[Match]("spatial-only", "channels or batches are resized", lambda m: all(s == 1 for s in m.scales[:2])),
    )
    pays = (
        Pays[Match]("sole-user", "the enlarged picture stays anyway", lambda m: facts.sole_user(m.resize.outputs[0])),
        Pays[Match]("enlarges", "more elements are convolved than before", lambda m: m.enlarges),
        Pays[Match](
            "no-more-channels",
            "more channels are interpolated than before",
            lambda m: m.layer.channels <= (facts.static(m.layer.weight) or (0, 0))[1] * m.layer.group,
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind a convolution and a Resize of constant scales, all axes given."""
        layer = convolution(node)
        resize = producer_beside(layer.x, node, "Resize") if layer is not None else None
        rank = facts.rank(layer.weight) if layer is not None else None
        if layer is None or resize is None or resize.inputs[0] is None:
            return None
        place = 1 if (resize.version or 1) < 11 else 2
        given = facts.constant(facts.input_of(resize, place))
        if given is None or given.shape != (rank,) or facts.is_set(resize, "axes") or facts.is_set(resize, "antialias"):
            return None
        return Match(layer, resize, tuple(float(s) for s in given))

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The convolution, then the Resize."""
        small = tape.like(m.layer.node, [m.resize.inputs[0], *m.layer.node.inputs[1:]])
        return [tape.like(m.resize, [small, *m.resize.inputs[1:]])]
