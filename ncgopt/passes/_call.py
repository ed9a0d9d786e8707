"""What a call of a local function means for the nodes of its body: operator sets and attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx
import onnx_ir as ir

from ncgopt.facts.nesting import subgraphs


def imports_for(model: ir.Model, function: ir.Function, imports: Mapping[str, int]) -> dict[str, int] | None:
    """What must be imported besides `imports` for the body of `function` to mean the same; None if that cannot be.

    Another version of an operator set is no obstacle where every operator used is defined the same
    way in both.
    """
    added: dict[str, int] = {}
    for node in function.all_nodes():
        inside, outside = function.opset_imports.get(node.domain), imports.get(node.domain)
        if outside is None and inside is not None:
            added[node.domain] = inside
        elif inside != outside and node.op_identifier() not in model.functions and not _same(node, inside, outside):
            return None
    return added


def _same(node: ir.Node, inside: int | None, outside: int | None) -> bool:
    if inside is None or outside is None:
        return False
    try:
        schemas = [onnx.defs.get_schema(node.op_type, version, node.domain) for version in (inside, outside)]
    except onnx.defs.SchemaError:
        return False
    return schemas[0].since_version == schemas[1].since_version


def settled_attributes(function: ir.Function, call: ir.Node) -> dict[str, ir.Attr] | None:
    """What each attribute of `function` is in `call`; None if a Constant would be left without its value.

    An attribute that neither the call nor a default gives is absent, and so is every reference to it.
    """
    settled = {name: attribute for name, attribute in function.attributes.items() if attribute.value is not None}
    settled.update({name: attribute for name, attribute in call.attributes.items() if name in function.attributes})
    for node in function.all_nodes():
        for attribute in node.attributes.values():
            absent = attribute.is_ref() and attribute.ref_attr_name not in settled
            if absent and node.op_type == "Constant" and not node.domain:
                return None
    return settled


def settle(
    graph: ir.Graph, settled: Mapping[str, ir.Attr], versions: Mapping[str, int], notes: Mapping[str, str]
) -> None:
    """Give the nodes of `graph`, and of its subgraphs, the attributes, operator sets and metadata of a call."""
    for node in _all_nodes(graph):
        for name, attribute in list(node.attributes.items()):
            if attribute.is_ref():
                del node.attributes[name]
                value = settled.get(attribute.ref_attr_name or "")
                if value is not None:
                    node.attributes[name] = _named(name, value)
        node.version = versions.get(node.domain, node.version)
        for key, note in notes.items():
            node.metadata_props.setdefault(key, note)


def _named(name: str, value: ir.Attr) -> ir.Attr:
    if value.is_ref():  # the call stands in a function itself
        return ir.RefAttr(name, value.ref_attr_name or "", value.type, doc_string=value.doc_string)
    return ir.Attr(name, value.type, value.value, doc_string=value.doc_string)


def _all_nodes(graph: ir.Graph) -> Iterator[ir.Node]:
    for node in graph:
        yield node
        for inner in subgraphs(node):
            yield from _all_nodes(inner)
