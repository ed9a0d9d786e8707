"""Reading the permutation of a Transpose."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt import facts


def permutation(node: ir.Node, rank: int | None = None) -> tuple[int, ...] | None:
    """The `perm` of a Transpose, its default spelled out; None where that needs an unknown rank.

    `rank` serves where the caller knows it better than the facts about the input do.
    """
    if facts.is_set(node, "perm"):
        perm = facts.ints_attribute(node, "perm")
        return perm if perm is not None and sorted(perm) == list(range(len(perm))) else None
    x = facts.input_of(node, 0)
    rank = rank if rank is not None or x is None else facts.rank(x)
    return None if rank is None else tuple(reversed(range(rank)))
