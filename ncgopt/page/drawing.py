"""Two models as drawings: nodes, edges and positions, and which nodes both have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

from ncgopt.diff.matching import Matching, match
from ncgopt.facts.nesting import nodes_within, subgraphs
from ncgopt.model import load
from ncgopt.page.layout import layout

_MOST_NODES = 4000
"""More are not drawn: those that changed, and what is near them, come first."""
_MOST_TEXT = 160

Drawing = dict[str, object]
"""`nodes`: `[operator, name, x, layer, status, lines]`, `edges`: `[from, to]`, `hidden`: nodes left out."""


def drawings(
    before: ir.Model, after: ir.Model, *, touched: Mapping[str, str] | None = None, exact: bool = False
) -> tuple[Drawing, Drawing]:
    """Both main graphs; status is `same`, `changed`, `removed` or `added`.

    Args:
        before: one model.
        after: the other one.
        touched: which rule or pass did something at a place (`Relu act1`), for nodes of `before`.
        exact: see `match`.
    """
    found = match(before, after, exact=exact)
    return _draw(before.graph, _left(found), touched or {}), _draw(after.graph, _right(found), {})


def read(path: Path, *, trust_links: bool = False, in_memory: bool = False) -> ir.Model:
    """The model at `path`; weights stay where they are unless `in_memory`."""
    return load(path, trust_links=trust_links, in_memory=in_memory).model


def _left(found: Matching) -> dict[ir.Node, str]:
    return {
        **dict.fromkeys(found.same, "same"),
        **dict.fromkeys(found.changed, "changed"),
        **dict.fromkeys(found.removed, "removed"),
    }


def _right(found: Matching) -> dict[ir.Node, str]:
    return {
        **dict.fromkeys(found.same.values(), "same"),
        **dict.fromkeys(found.changed.values(), "changed"),
        **dict.fromkeys(found.added, "added"),
    }


def _draw(graph: ir.Graph, status: Mapping[ir.Node, str], touched: Mapping[str, str]) -> Drawing:
    nodes = [node for node in graph if node.op_type != "Constant" or node.domain]
    kept = set(_near_changes(nodes, status))
    shown = [node for node in nodes if node in kept]
    number = {node: index for index, node in enumerate(shown)}
    edges = sorted({(number[source], number[node]) for node in shown for source in _sources(node) if source in number})
    places = layout(len(shown), edges)
    drawn = [
        [node.op_type, node.name or "", round(x, 2), y, status[node], _lines(node, touched)]
        for node, (x, y) in zip(shown, places, strict=True)
    ]
    return {"nodes": drawn, "edges": [list(edge) for edge in edges], "hidden": len(nodes) - len(shown)}


def _near_changes(nodes: Sequence[ir.Node], status: Mapping[ir.Node, str]) -> list[ir.Node]:
    """All nodes, or as many as are drawn: those that changed, their neighbours, and so on."""
    if len(nodes) <= _MOST_NODES:
        return list(nodes)
    allowed = set(nodes)
    found = dict.fromkeys(node for node in nodes if status[node] != "same") or {nodes[0]: None}
    front = list(found)
    while front and len(found) < _MOST_NODES:
        near = dict.fromkeys(one for node in front for one in (*_sources(node), *_readers(node)) if one in allowed)
        front = [node for node in near if node not in found]
        found.update(dict.fromkeys(front))
    return list(found)[:_MOST_NODES]


def _sources(node: ir.Node) -> list[ir.Node]:
    """Nodes of the same graph that it reads, its subgraphs included."""
    values = [value for value in node.inputs if value is not None]
    for inner in subgraphs(node):
        values += [value for one in nodes_within(inner) for value in one.inputs if value is not None]
    producers = (value.producer() for value in values)
    return [one for one in producers if one is not None and one.graph is node.graph]


def _readers(node: ir.Node) -> list[ir.Node]:
    return [use.node for value in node.outputs for use in value.uses() if use.node.graph is node.graph]


def _lines(node: ir.Node, touched: Mapping[str, str]) -> list[str]:
    """What is shown of a node on request."""
    lines = [f"{'in' if value.const_value is None else 'weight'} {_value(value)}" for value in node.inputs if value]
    lines += [f"out {_value(value)}" for value in node.outputs if value.name]
    lines += [f"{name} = {_attribute(one)}" for name, one in node.attributes.items()]
    rule = touched.get(f"{node.op_type} {node.name}") or touched.get(node.name or "")
    if rule:
        lines.insert(0, f"! {rule}")
    return [line[:_MOST_TEXT] for line in lines[:14]]


def _value(value: ir.Value) -> str:
    kind = "" if value.dtype is None else value.dtype.name.lower()
    dims = "" if value.shape is None else f"[{','.join(str(dim) for dim in value.shape)}]"
    return f"{value.name} {kind}{dims}".rstrip()


def _attribute(attribute: ir.Attr) -> str:
    if attribute.is_ref():
        return f"@{attribute.ref_attr_name}"
    match attribute.type:
        case ir.AttributeType.GRAPH:
            return f"graph of {sum(1 for _ in nodes_within(attribute.as_graph()))} nodes"
        case ir.AttributeType.TENSOR:
            tensor = attribute.as_tensor()
            return f"{tensor.dtype.name.lower()}{list(tensor.shape.numpy())}"
        case _:
            return str(attribute.value)[:_MOST_TEXT]
