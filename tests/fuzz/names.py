"""Renaming everything in a model, so that it can become part of another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx


def prefixed(model: onnx.ModelProto, prefix: str, bound: Mapping[str, str]) -> onnx.ModelProto:
    """A copy whose values have `prefix` before their names; those in `bound` are called what it says.

    Declarations of inner values are dropped: what the model is fed with elsewhere may have another shape.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    functions = {(f.domain, f.name): prefix + f.name for f in copy.functions}
    for function in copy.functions:
        function.name = functions[function.domain, function.name]
    for function in copy.functions:
        _call_by(function.node, functions)
    _call_by(copy.graph.node, functions)
    rename_graph(copy.graph, prefix, dict(bound))
    return copy


def rename_graph(graph: onnx.GraphProto, prefix: str, outer: Mapping[str, str]) -> None:
    """Give what `graph` defines the prefix; what it takes from outside is called what `outer` says."""
    names = dict(outer)

    def define(name: str) -> str:
        return names.setdefault(name, prefix + name) if name else ""

    for tensor in graph.initializer:
        tensor.name = define(tensor.name)
    for value in graph.input:
        value.name = define(value.name)
    for node in graph.node:
        if node.name:
            node.name = prefix + node.name
        node.input[:] = [names.get(name, name) for name in node.input]
        for inner in graphs_of(node):
            rename_graph(inner, prefix, names)
        node.output[:] = [define(name) for name in node.output]
    for value in (*graph.output, *graph.value_info):
        value.name = names.get(value.name, value.name)


def graphs_of(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """The graphs that a node holds."""
    return [a.g for a in node.attribute if a.HasField("g")] + [g for a in node.attribute for g in a.graphs]


def captured(node: onnx.NodeProto) -> list[str]:
    """What a node reads: its inputs, and what its graphs take from outside."""
    found = [name for name in node.input if name]
    for graph in graphs_of(node):
        own = {v.name for v in graph.input} | {t.name for t in graph.initializer}
        for inner in graph.node:
            found += [name for name in captured(inner) if name not in own]
            own |= set(inner.output)
        found += [v.name for v in graph.output if v.name not in own]
    return found


def _call_by(nodes: Iterable[onnx.NodeProto], functions: Mapping[tuple[str, str], str]) -> None:
    for node in nodes:
        node.op_type = functions.get((node.domain, node.op_type), node.op_type)
        for graph in graphs_of(node):
            _call_by(graph.node, functions)
