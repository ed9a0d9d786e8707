"""Seconds on paper: a node takes as long as its FLOPs or its bytes take, whichever is more, and a moment to be called.

The three rates are those of a server core; only their proportions matter.
"""

from __future__ import annotations

from ncgopt.cost.node import NodeCost

FLOPS, BYTES, CALL = 5e10, 1e10, 1e-6  # per second, per second, seconds


def seconds_of(cost: NodeCost | None) -> float:
    """Of one run of a node; of one whose cost is not known, that of a call."""
    if cost is None:
        return CALL
    return CALL + max(cost.flops / FLOPS, (cost.bytes_moved or 0) / BYTES)
