"""Graphs inside of nodes inside of graphs.

What onnx-ir's own traversal finds as well, at a fifth of the price: nearly everything that looks at a
whole model goes through here, often. `data` is the plain dict behind a node's attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import onnx_ir as ir

_GRAPH, _GRAPHS = ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS


def subgraphs(node: ir.Node) -> Sequence[ir.Graph]:
    """The graphs that `node` holds as attributes, not those inside them."""
    attributes = node.attributes.data
    if not attributes:
        return ()
    found: list[ir.Graph] = []
    for attribute in attributes.values():
        kind = attribute.type
        if kind is _GRAPH and not attribute.is_ref():
            found.append(cast(ir.Graph, attribute.value))
        elif kind is _GRAPHS and not attribute.is_ref():
            found.extend(cast("Sequence[ir.Graph]", attribute.value))
    return found


def graphs_within(graph: ir.Graph) -> list[ir.Graph]:
    """`graph` and its subgraphs, one before those inside it."""
    found = [graph]
    for node in graph:
        for inner in subgraphs(node):
            found += graphs_within(inner)
    return found


def nodes_within(graph: ir.Graph) -> Iterator[ir.Node]:
    """Every node of `graph` and its subgraphs, a node before the nodes of its subgraphs."""
    for node in graph:
        yield node
        for inner in subgraphs(node):
            yield from nodes_within(inner)
