"""Binary operators that broadcast by attribute before operator set 7, and like numpy since."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.opset.site import Site


def binary(site: Site) -> None:
    """The second operand was aligned at `axis`, or with the last dimensions as numpy does."""
    a, b = site.required(0), site.required(1)
    axis, wanted = site.attribute("axis"), site.attribute("broadcast", 0)
    site.drop("axis", "broadcast", "consumed_inputs")
    if not wanted or axis is None:
        return
    rank_a, rank_b = facts.rank(a), facts.rank(b)
    if rank_a is None or rank_b is None:
        site.refuse("the ranks of its operands are not known, and it aligns them at an axis")
    first = axis if axis >= 0 else axis + rank_a
    behind = rank_a - rank_b - first
    if behind > 0:
        site.set_inputs([a, _with_ones_behind(site, b, range(rank_b, rank_b + behind))])


def prelu(site: Site) -> None:
    """One slope per channel was a vector, and must now be aligned with the channels."""
    x, slope = site.required(0), site.required(1)
    rank_x, rank_slope = facts.rank(x), facts.rank(slope)
    if facts.known_size(slope) == 1:
        return
    if rank_x is None or rank_slope is None:
        site.refuse("the ranks of its operands are not known, and the slopes belong to the second axis")
    if rank_slope == 1 and rank_x > 2:
        site.set_inputs([x, _with_ones_behind(site, slope, range(1, rank_x - 1))])


def _with_ones_behind(site: Site, value: ir.Value, axes: Sequence[int]) -> ir.Value:
    array = facts.constant(value)
    if array is not None:
        return site.constant(np.asarray(array).reshape(*array.shape, *(1 for _ in axes)))
    return site.op("Unsqueeze", [value], {"axes": list(axes)}, dtype=facts.dtype(value))
