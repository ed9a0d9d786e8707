"""An activation function written in pieces: what any such match binds, and what it takes to replace it."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.interior import is_closed
from ncgopt.records import record
from ncgopt.rewrite import Pays, Requires


@record
class Pieces:
    """`root` is a function of x, computed by several operators.

    Attributes:
        nodes: everything it is computed by.
        rank: the highest rank of a constant in it.
    """

    x: ir.Value
    nodes: frozenset[ir.Node]
    rank: int
    root: ir.Node

    @property
    def keeps_shape(self) -> bool:
        """Whether no constant enlarges x."""
        rank = facts.rank(self.x)
        return self.rank == 0 or (rank is not None and self.rank <= rank)


NO_BROADCAST = Requires[Pieces]("no-broadcast", "a constant of higher rank enlarges x", lambda m: m.keeps_shape)
SOLE_USERS = Pays[Pieces](
    "sole-users", "intermediate values would be computed on their own too", lambda m: is_closed(m.nodes, m.root)
)
