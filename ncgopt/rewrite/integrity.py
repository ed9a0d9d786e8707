"""What must hold of a model between any two changes, checked once for all passes."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from ncgopt.errors import UnsoundRewrite
from ncgopt.facts.nesting import subgraphs
from ncgopt.rewrite.session import all_graphs

Snapshot = list[object]
Interface = tuple[tuple[str, str | None, str, str], ...]


def interface(model: ir.Model) -> Interface:
    """Names, types and declared shapes of the main graph's inputs and outputs, in order."""
    graph = model.graph
    sides = (("input", graph.inputs), ("output", graph.outputs))
    return tuple((side, v.name, str(v.type), str(v.shape)) for side, values in sides for v in values)


def check(model: ir.Model, before: Interface, who: str) -> None:
    """Raise `UnsoundRewrite`, naming `who`, unless `model` is well-formed and keeps its interface.

    Well-formed: every name means one value in its scope and those around it, every value is defined
    before it is used, every graph output has a producer or is an input or initializer.
    """
    if interface(model) != before:
        raise UnsoundRewrite(f"{who} changed the inputs or outputs of the model; this is a bug in it")
    scopes = [model.graph, *(f.graph for f in model.functions.values())]
    for graph in scopes:
        for complaint in _complaints(graph, None):
            raise UnsoundRewrite(f"{who}: {complaint}; this is a bug in it")


class _Scope:
    """Names visible in a graph: its own and, where it does not use them again, those around it.

    A name from further out may be used again: ONNX Runtime's own BeamSearch models do that.
    """

    def __init__(self, outer: _Scope | None) -> None:
        self._outer = outer
        self._own: dict[str | None, ir.Value] = {}

    def define(self, value: ir.Value) -> Iterator[str]:
        if not value.name:
            yield "an input, an initializer or an output that is used has no name"
        elif self._own.setdefault(value.name, value) is not value:
            yield f"two values are called {value.name!r}"

    def knows(self, value: ir.Value) -> bool:
        scope: _Scope | None = self
        while scope is not None:
            found = scope._own.get(value.name)
            if found is not None:
                return found is value
            scope = scope._outer
        return False


def _complaints(graph: ir.Graph, outer: _Scope | None) -> Iterator[str]:
    scope = _Scope(outer)
    for value in (*graph.inputs, *graph.initializers.values()):
        yield from scope.define(value)
    for node in graph:
        yield from _node_complaints(node, scope)
    for value in graph.outputs:
        if not scope.knows(value):
            yield f"graph output {value.name!r} is never produced"


def _node_complaints(node: ir.Node, scope: _Scope) -> Iterator[str]:
    for value in node.inputs:
        if value is not None and not scope.knows(value):
            yield f"node {node.name or node.op_type} uses {value.name!r} where that name means nothing or another"
    for inner in subgraphs(node):
        yield from _complaints(inner, scope)
    for value in node.outputs:
        if value.name or value.uses() or value.is_graph_output():
            yield from scope.define(value)


def snapshot(model: ir.Model) -> Snapshot:
    """The structure: nodes, attributes, edges, names, and which tensor each constant holds; to be compared with `==`.

    Nodes, values and tensors count by identity, not by content: passes replace them, they do not
    write into them. Comparing the snapshots of an unchanged model takes a moment.
    """
    parts: list[object] = []
    for graph in all_graphs(model):
        parts.append(graph)
        parts += [(value, value.name, value.type, str(value.shape)) for value in graph.inputs]
        parts += [(value, value.name, value.const_value) for value in graph.initializers.values()]
        for node in graph:
            parts += (node, node.op_type, node.domain, node.inputs, (*node.attributes.data.values(),))
            parts += [output.name for output in node.outputs]
        parts.append((*graph.outputs,))
    return parts
