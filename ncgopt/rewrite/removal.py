"""Taking nodes and initializers out of a graph so that no use of theirs stays counted."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.nesting import subgraphs


def detach(node: ir.Node) -> None:
    """Drop every use that `node`, and the nodes of its subgraphs, make of other values.

    onnx-ir counts the uses inside a subgraph even after the node that holds it left the graph.
    """
    for index in range(len(node.inputs)):
        node.replace_input_with(index, None)
    for graph in subgraphs(node):
        for inner in graph:
            detach(inner)


def is_dead(node: ir.Node) -> bool:
    """Whether nothing uses any output of `node` and nothing protects it.

    ONNX operators have no side effects; not even a random one is missed (each draws for itself).
    """
    return not facts.is_kept(node) and not any(facts.user_count(v) or v.is_graph_output() for v in node.outputs)


def remove_node(node: ir.Node) -> list[ir.Value]:
    """Take `node` out of its graph; returns the values it, and its subgraphs, had used."""
    used = _used_values(node)
    detach(node)
    if node.graph is not None:
        node.graph.remove(node)
    return used


def remove_dead(values: Iterable[ir.Value]) -> list[ir.Node]:
    """Remove the dead producers of `values`, then of what those used; returns the nodes removed.

    Initializers that lose their last user go too, unless protected or inputs of the graph.
    """
    removed: list[ir.Node] = []
    pending = list(values)
    while pending:
        value = pending.pop()
        node = value.producer()
        if node is not None:
            if node.graph is not None and is_dead(node):
                pending.extend(remove_node(node))
                removed.append(node)
        else:
            remove_unused_initializer(value)
    return removed


def is_unused_initializer(value: ir.Value) -> bool:
    """Whether `value` is an initializer that nothing uses or protects and no caller can feed."""
    if not value.is_initializer() or facts.user_count(value) or value.is_graph_input() or value.is_graph_output():
        return False
    return not facts.is_kept(value)


def remove_unused_initializer(value: ir.Value) -> None:
    """Remove `value` if `is_unused_initializer`."""
    if is_unused_initializer(value) and value.graph is not None and value.name is not None:
        del value.graph.initializers[value.name]


def _used_values(node: ir.Node) -> list[ir.Value]:
    used = [v for v in node.inputs if v is not None]
    for graph in subgraphs(node):
        for inner in graph:
            used.extend(_used_values(inner))
    return used
