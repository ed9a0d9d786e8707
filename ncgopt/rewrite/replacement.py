"""Letting one value stand for another, while graph outputs keep their names and declared types."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.marks import take_notes


def may_take_name(value: ir.Value, graph: ir.Graph) -> bool:
    """Whether `value` can become an output of `graph` under the name that this output has now.

    Not a value from outside the graph, an input, an initializer, another output or something that
    is protected: their names are spoken for.
    """
    producer = value.producer()
    if producer is None or value.is_graph_output() or facts.is_kept(producer):
        return False
    return producer.graph is graph


def replace_value(graph: ir.Graph, old: ir.Value, value: ir.Value, *, fresh: bool) -> None:
    """Let everything that used `old` use `value`.

    A graph output keeps its name and declared type; a `fresh` value takes over both in any case.
    For a graph output that is not fresh, ask `may_take_name` first.
    """
    if fresh or old.is_graph_output():
        _take_identity(old, value)
    for index, output in enumerate(graph.outputs):
        if output is old:
            graph.outputs[index] = value
    for use in tuple(old.uses()):
        use.node.replace_input_with(use.idx, value)


def _take_identity(old: ir.Value, value: ir.Value) -> None:
    name, old.name = old.name, None
    value.name = name
    value.type, value.shape, value.doc_string = old.type, old.shape, old.doc_string
    value.metadata_props.update(old.metadata_props)
    # Notes (what the loader remembers about a declared value) go with the name; what the new value
    # knows about itself (its inferred type) stays.
    take_notes(old, value)
