"""Remove a Resize to the size the value has already."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.elements import elements
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape


@record
class Match:
    """`out = Resize(x)` or `Upsample(x)` with scales of exactly 1."""

    x: ir.Value
    coordinates: str


class EliminateNoopResize(Rule[Match]):
    """`Resize(x)` becomes `x` where all scales are exactly 1.0 or the sizes are x's own.

    Every output then falls on a grid point of x, where interpolation of any kind returns the point
    itself. ROUNDS, because an implementation that weighs neighbours with 0 turns an infinite
    neighbour into NaN and -0.0 into +0.0.
    """

    name = "eliminate-noop-resize"
    claim = Claim.ROUNDS
    root = ("Resize", "Upsample")
    since_opset = 7
    requires = (
        Requires[Match](
            "on-grid-points",
            "the coordinates are shifted or come from a region of interest, whatever the scales",
            lambda m: m.coordinates not in ("tf_crop_and_resize", "tf_half_pixel_for_nn"),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the input where nothing is scaled."""
        x = facts.input_of(node, 0)
        coordinates = "" if (node.version or 1) < 11 else facts.string_attribute(node, "coordinate_transformation_mode")
        if x is None or coordinates is None:
            return None
        return Match(x, coordinates) if _keeps_scale(node) or _keeps_size(node, x) else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The input itself."""
        return [m.x]


def _keeps_scale(node: ir.Node) -> bool:
    if node.op_type == "Upsample" and (node.version or 1) < 9:
        return _all_one(node.attributes.get("scales"))
    scales = facts.constant(facts.input_of(node, 1 if (node.version or 1) < 11 else 2))
    return scales is not None and scales.size > 0 and bool((scales == 1.0).all())


def _all_one(attribute: ir.Attr | None) -> bool:
    if attribute is None or attribute.is_ref() or attribute.type != ir.AttributeType.FLOATS:
        return False
    return all(scale == 1.0 for scale in attribute.as_floats())


def _keeps_size(node: ir.Node, x: ir.Value) -> bool:
    if node.op_type == "Upsample" or (node.version or 1) < 11:
        return False
    sizes, dims = elements(facts.input_of(node, 3)), facts.shape(x)
    if not sizes or dims is None:
        return False
    axes = facts.ints_attribute(node, "axes") if facts.is_set(node, "axes") else tuple(range(len(dims)))
    if axes is None or len(axes) != len(sizes) or not all(-len(dims) <= axis < len(dims) for axis in axes):
        return False
    return all(size is not None and size == dims[axis] for axis, size in zip(axes, sizes, strict=True))
