"""A decomposed normalization over the last axes, and the operator that it becomes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.interior import is_closed
from ncgopt.records import record
from ncgopt.rewrite import Pays, Requires, Tape


@record
class Match:
    """`root` is x normalized over its last `axes` axes; `nodes` is everything that this takes."""

    x: ir.Value
    axes: int
    epsilon: float
    nodes: tuple[ir.Node, ...]
    root: ir.Node

    @property
    def sizes(self) -> tuple[int, ...] | None:
        """The sizes of the normalized axes, where they are known numbers other than zero."""
        dims = facts.shape(self.x)
        sizes = () if dims is None else tuple(d for d in dims[len(dims) - self.axes :] if isinstance(d, int) and d > 0)
        return sizes if len(sizes) == self.axes else None


REQUIRES = (
    Requires[Match]("known-size", "the scale has one element per normalized element", lambda m: m.sizes is not None),
)
PAYS = (
    Pays[Match](
        "sole-users", "intermediate values would be computed on their own too", lambda m: is_closed(m.nodes, m.root)
    ),
)


def is_served(x: ir.Value) -> bool:
    """Whether the operator is as precise as what it replaces: it may compute its statistics in float32."""
    return facts.is_float(x) and facts.dtype(x) != ir.DataType.DOUBLE


def build(tape: Tape, m: Match, op_type: str) -> ir.Value:
    """Record the operator with a scale of one."""
    dtype = facts.dtype(m.x)
    if m.sizes is None or dtype is None:
        raise ValueError("the size of the scale is not known")
    ones = tape.constant(np.ones(m.sizes, dtype.numpy()))
    return tape.op(op_type, [m.x, ones], {"axis": -m.axes, "epsilon": m.epsilon})
