"""Take the maximum of a window along one axis after the other."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.convolution._geometry import Geometry, geometry
from ncgopt.settings import Target

_LEAST = 5  # below, the second pass over the data costs what it saves


@record
class Match:
    """`pool(x)` with windows in two dimensions."""

    pool: ir.Node
    x: ir.Value
    shape: Geometry


class SplitMaxPool(Rule[Match]):
    """`MaxPool(x, k x k)` becomes `MaxPool(MaxPool(x, k x 1), 1 x k)`: 2 k comparisons instead of k * k.

    The largest of a window is the largest of its rows' largest; of NaN runtimes make what they like, so
    that this holds where x has none. For windows of 5 and more with a window
    at every element this takes 1/1.3 (5 x 5) to 1/3.5 (13 x 13) of the time (ONNX Runtime 1.32, 1
    thread).
    """

    name = "split-max-pool"
    claim = Claim.RANGED
    root = "MaxPool"
    targets = frozenset({Target.ONNXRUNTIME})  # more operators; measured there
    requires = (
        Requires[Match](
            "no-indices",
            "where the largest stands is not known from one axis",
            lambda m: not any(v.name and (v.uses() or v.is_graph_output()) for v in m.pool.outputs[1:]),
        ),
    )
    pays = (
        Pays[Match](
            "large-window", "two passes cost more than a small window", lambda m: min(m.shape.kernel) >= _LEAST
        ),
        Pays[Match]("every-element", "windows that hardly overlap save nothing", lambda m: m.shape.steps_by_one),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind a pool in two dimensions whose output size is the usual one."""
        x, shape = node.inputs[0], geometry(node)
        if x is None or shape is None or len(shape.kernel) != 2 or min(shape.kernel) < 2 or not facts.is_float(x):
            return None
        if (node.version or 1) >= 10 and facts.int_attribute(node, "ceil_mode") != 0:
            return None
        return None if _has_siblings(node, x) else Match(node, x, shape)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value | None]:
        """One pool per axis."""
        value = m.x
        for axis in (0, 1):
            value = tape.op("MaxPool", [value], _along(m.shape, axis))
        return [value, *[None] * (len(m.pool.outputs) - 1)]


def _has_siblings(node: ir.Node, x: ir.Value) -> bool:
    """Whether other pools read the same tensor: one may be made of the other (`fuse-max-pool-pyramid`)."""
    return any(use.node is not node and use.node.op_type == "MaxPool" for use in x.uses())


def _along(shape: Geometry, axis: int) -> dict[str, tuple[int, ...]]:
    """Attributes of a pool along one axis of two."""

    def only(sizes: tuple[int, ...], neutral: int) -> tuple[int, ...]:
        return tuple(size if k % 2 == axis else neutral for k, size in enumerate(sizes))

    found = {"kernel_shape": only(shape.kernel, 1), "pads": only(shape.pads, 0), "strides": only(shape.strides, 1)}
    if any(d != 1 for d in shape.dilations):
        found["dilations"] = only(shape.dilations, 1)
    return found
