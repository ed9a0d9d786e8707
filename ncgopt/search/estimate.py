"""What a small graph costs on paper, at several sizes of its symbolic dimensions.

Seconds by a roofline (`ncgopt.cost.roofline`); what a search finds is measured before it is used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import onnx_ir as ir

from ncgopt import facts
from ncgopt.cost import node_cost
from ncgopt.cost.roofline import seconds_of
from ncgopt.facts import symbols

Costs: TypeAlias = tuple[float, ...]
"""Seconds, one figure per choice of sizes."""


def estimate(graph: ir.Graph, bindings: Sequence[Mapping[str, int]]) -> Costs:
    """Cost of one run of a graph.

    Args:
        graph: without subgraphs. Nodes that read only constants count nothing: they are folded.
        bindings: sizes per symbol that occurs in the shapes of its inputs.
    """
    nodes = [node for node in graph if not _is_constant(node)]
    return tuple(sum(node_seconds(node, sizes) for node in nodes) for sizes in bindings)


def improves(new: Costs, old: Costs, share: float = 0.01) -> bool:
    """Whether nothing gets dearer at any size, and all sizes together cheaper by more than a share."""
    return all(a <= b * 1.0001 for a, b in zip(new, old, strict=True)) and relative(new, old) < 1 - share


def relative(new: Costs, old: Costs) -> float:
    """The geometric mean of the ratios."""
    logs = [math.log(max(a, 1e-12) / max(b, 1e-12)) for a, b in zip(new, old, strict=True)]
    return math.exp(sum(logs) / len(logs))


def node_seconds(node: ir.Node, sizes: Mapping[str, int]) -> float:
    """Cost of one run of a node; of one whose shapes are not known, that of a call."""

    def shape_of(value: ir.Value) -> tuple[int, ...] | None:
        if value.const_value is not None:
            return tuple(value.const_value.shape.numpy())
        dims = facts.shape(value)
        found = None if dims is None else [symbols.evaluate(dim, dict(sizes)) for dim in dims]
        known = [size for size in found or () if size is not None and size >= 0]
        return tuple(known) if found is not None and len(known) == len(found) else None

    return seconds_of(node_cost(node, shape_of))


def _is_constant(node: ir.Node) -> bool:
    return all(value is None or facts.is_constant(value) for value in node.inputs)
