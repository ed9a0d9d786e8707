"""What must hold of a model between any two changes, checked once for all passes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import onnx_ir as ir

from ncgopt.errors import UnsoundRewrite
from ncgopt.rewrite.session import all_graphs, subgraphs

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
        for complaint in _complaints(graph, {}):
            raise UnsoundRewrite(f"{who}: {complaint}; this is a bug in it")


class _Scope:
    """Names visible in a graph: its own and, where it does not use them again, those around it.

    A name from further out may be used again: ONNX Runtime's own BeamSearch models do that.
    """

    def __init__(self, outer: dict[str, ir.Value]) -> None:
        self.visible = dict(outer)
        self._own: dict[str, ir.Value] = {}

    def define(self, value: ir.Value) -> Iterator[str]:
        if not value.name:
            yield "an input, an initializer or an output that is used has no name"
        elif self._own.setdefault(value.name, value) is not value:
            yield f"two values are called {value.name!r}"
        else:
            self.visible[value.name] = value

    def knows(self, value: ir.Value) -> bool:
        return self.visible.get(value.name or "") is value


def _complaints(graph: ir.Graph, outer: dict[str, ir.Value]) -> Iterator[str]:
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
        yield from _complaints(inner, scope.visible)
    for value in node.outputs:
        if value.name or value.uses() or value.is_graph_output():
            yield from scope.define(value)


def fingerprint(model: ir.Model) -> bytes:
    """A digest of the structure: nodes, attributes, edges, and which tensor each constant holds.

    Tensors count by identity, not by content: passes replace them, they do not write into them.
    """
    digest = hashlib.sha256()
    for graph in all_graphs(model):
        for value in graph.inputs:
            digest.update(f"i {value.name} {value.type} {value.shape}\n".encode())
        for value in graph.initializers.values():
            digest.update(f"c {value.name} {id(value.const_value)}\n".encode())
        for node in graph:
            inputs = [v.name if v is not None else None for v in node.inputs]
            digest.update(f"n {node.domain} {node.op_type} {inputs} {[v.name for v in node.outputs]}\n".encode())
            for attribute in node.attributes.values():
                digest.update(_attribute(attribute).encode())
        digest.update(f"o {[v.name for v in graph.outputs]}\n".encode())
    return digest.digest()


def _attribute(attribute: ir.Attr) -> str:
    if attribute.is_ref():
        return f"a {attribute.name} -> {attribute.ref_attr_name}\n"
    if attribute.type in (ir.AttributeType.TENSOR, ir.AttributeType.GRAPH):
        return f"a {attribute.name} {id(attribute.value)}\n"
    if attribute.type in (ir.AttributeType.TENSORS, ir.AttributeType.GRAPHS):
        return f"a {attribute.name} {[id(x) for x in attribute.value]}\n"
    return f"a {attribute.name} {attribute.value}\n"
