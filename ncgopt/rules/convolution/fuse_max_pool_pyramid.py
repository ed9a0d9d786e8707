"""Compute a large MaxPool from a smaller one of the same tensor."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.convolution._geometry import Geometry, geometry


@record
class Match:
    """`large(x)` and `small(x)`, both with a window at every element."""

    large: ir.Node
    small: ir.Node
    wide: Geometry
    narrow: Geometry

    @property
    def kernel(self) -> tuple[int, ...]:
        """The window that is left over."""
        return tuple(a - b + 1 for a, b in zip(self.wide.kernel, self.narrow.kernel, strict=True))


class FuseMaxPoolPyramid(Rule[Match]):
    """`MaxPool(x, 9)` beside `MaxPool(x, 5)` becomes `MaxPool(MaxPool(x, 5), 5)`; 13 from 9 likewise.

    Spatial pyramid pooling (YOLO) takes the maxima of windows of 5, 9 and 13 around the same element.
    The largest of the largest is the largest of all of them; all windows keep the size, so that what
    reaches over an edge is the same. Holds where x has no NaN, of which runtimes make what they like.
    """

    name = "fuse-max-pool-pyramid"
    claim = Claim.RANGED
    root = "MaxPool"
    requires = (
        Requires[Match](
            "no-indices",
            "an index counts in the tensor that is pooled",
            lambda m: not any(v.name and (v.uses() or v.is_graph_output()) for v in m.large.outputs[1:]),
        ),
    )
    pays = (Pays[Match]("smaller-window", "the same window as before", lambda m: max(m.kernel) < max(m.wide.kernel)),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind the largest pool of the same tensor whose windows lie within this one's and that stands before it."""
        x, wide = node.inputs[0], _centred(node)
        if x is None or wide is None:
            return None
        best: Match | None = None
        for use in x.uses():
            other = use.node
            if (
                other is node
                or other.graph is not node.graph
                or facts.is_kept(other)
                or not _stands_before(other, node)
            ):
                continue
            narrow = _centred(other)
            if narrow is None or not all(a < b for a, b in zip(narrow.kernel, wide.kernel, strict=True)):
                continue
            if best is None or narrow.kernel > best.narrow.kernel:
                best = Match(node, other, wide, narrow)
        return best

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value | None]:
        """The pool of the pool."""
        pads = tuple((k - 1) // 2 for k in m.kernel)
        attributes = {"kernel_shape": m.kernel, "pads": (*pads, *pads), "strides": (1,) * len(pads)}
        return [tape.op("MaxPool", [m.small.outputs[0]], attributes), *[None] * (len(m.large.outputs) - 1)]


def _centred(node: ir.Node) -> Geometry | None:
    """The geometry of a pool with an odd window around every element, undilated."""
    if node.op_type != "MaxPool" or node.domain:
        return None
    found = geometry(node)
    if found is None or not found.preserves_size or any(d != 1 for d in found.dilations):
        return None
    odd = all(k % 2 for k in found.kernel) and found.begins == found.ends
    return found if odd else None


def _stands_before(other: ir.Node, node: ir.Node) -> bool:
    """Whether `other` comes first in the graph, so that its result may be read by what replaces `node`."""
    graph = node.graph
    if graph is None:
        return False
    for candidate in graph:
        if candidate is other:
            return True
        if candidate is node:
            return False
    return False
