"""Let a convolution step over the elements that are left out of its result."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.symbols import add, is_at_least
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.convolution._geometry import Geometry, geometry
from ncgopt.rules.shape._slices import Range, is_whole, ranges


@record
class Match:
    """`Slice(conv(x))`; `steps` is the step of the Slice per spatial axis."""

    conv: ir.Node
    shape: Geometry
    steps: tuple[int, ...]

    @property
    def window_fits(self) -> bool:
        """Whether there is a window: the padded input is never smaller than one.

        An axis has one element at least: ONNX Runtime runs none of these operators without.
        """
        x = self.conv.inputs[0]
        shape = facts.shape(x) if x is not None else None
        if shape is None:
            return False
        for k, dim in enumerate(shape[2:]):
            window = self.shape.dilations[k] * (self.shape.kernel[k] - 1) + 1
            padding = self.shape.begins[k] + self.shape.ends[k]
            if 1 + padding < window and not is_at_least(add(dim, padding), window):
                return False
        return True


class FoldSliceIntoConvStrides(Rule[Match]):
    """`Slice(Conv(x), ::2)` becomes `Conv(x, strides=2)`, from the first element to the end of each axis.

    Element k s of the result is window k at s times the stride. The same for the pools, which leave out
    windows in the same way. ROUNDS, because a kernel may add in another order.
    """

    name = "fold-slice-into-conv-strides"
    claim = Claim.ROUNDS
    root = "Slice"
    requires = (
        Requires[Match]("window-fits", "of no window at all runtimes make one or none", lambda m: m.window_fits),
    )
    pays = (Pays[Match]("sole-user", "all elements are computed anyway", lambda m: facts.sole_user(m.conv.outputs[0])),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind a convolution or pool of explicit padding, and steps along spatial axes."""
        conv, found = producer_beside(node.inputs[0], node, "Conv", "MaxPool", "AveragePool"), ranges(node)
        if conv is None or not found or len(conv.outputs) > 1:
            return None
        sizes = facts.static(conv.inputs[1]) if conv.op_type == "Conv" and conv.inputs[1] is not None else None
        if conv.op_type == "Conv" and sizes is None:
            return None
        shape = geometry(conv, sizes[2:] if sizes is not None else None)
        if shape is None or not _steps_from_first(found, len(shape.kernel)):
            return None
        if conv.op_type != "Conv" and (conv.version or 1) >= 10 and facts.int_attribute(conv, "ceil_mode") != 0:
            return None
        steps = tuple(found[axis + 2].step if axis + 2 in found else 1 for axis in range(len(shape.kernel)))
        return Match(conv, shape, steps) if max(steps) > 1 else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The operator with larger strides."""
        made = tape.like(m.conv, m.conv.inputs)
        node = made.producer()
        if node is None:
            raise ValueError("the copy of the operator has no node")
        strides = [a * b for a, b in zip(m.shape.strides, m.steps, strict=True)]
        node.attributes["strides"] = ir.AttrInt64s("strides", strides)
        return [made]


def _steps_from_first(found: dict[int, Range], spatial: int) -> bool:
    """Whether every range steps along a spatial axis, from its first element to its end."""
    return all(
        2 <= axis < spatial + 2 and r.step >= 1 and is_whole(Range(r.start, r.end, 1), None)
        for axis, r in found.items()
    )
