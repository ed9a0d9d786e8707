"""The steps of a model by modelled cost: nothing is run, the graph is that of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx_ir as ir

from ncgopt.cost import node_cost, shapes
from ncgopt.cost.graph import rounds_of, static_shape
from ncgopt.cost.roofline import CALL, seconds_of
from ncgopt.parallel.workspan import Step


def modelled_steps(model: ir.Model, binding: Mapping[str, int]) -> list[Step]:
    """A step per node of the main graph that does not work on constants alone, in the order of the file.

    A node with bodies takes as long as these: of an If the longer branch, of a Loop or Scan the body as often as it
    is known to run, once where it is not.

    Args:
        model: any model; it is not changed.
        binding: sizes of symbolic dimensions; those left out count as 1.
    """
    graph = shapes.bound(model, binding).graph
    graph.sort()
    places: dict[ir.Node, int] = {}
    folded: set[ir.Node] = set()
    steps: list[Step] = []
    for node in graph:
        needed = [value.producer() for value in _values(node, graph)]
        producers = [producer for producer in needed if producer is not None and producer not in folded]
        if not producers and not any(value.is_graph_input() for value in _values(node, graph)) and _folds(node):
            folded.add(node)
            continue
        after = tuple(sorted({places[producer] for producer in producers}))
        places[node] = len(steps)
        steps.append(Step(node.name or "", node.op_type, _seconds(node), after))
    return steps


def _folds(node: ir.Node) -> bool:
    return not node.op_type.startswith(("Random", "Multinomial", "Bernoulli"))


def _values(node: ir.Node, graph: ir.Graph) -> Iterator[ir.Value]:
    """What a node needs of `graph`: its inputs, and what its bodies capture."""
    for value in node.inputs:
        if value is not None:
            yield value
    for attribute in node.attributes.values():
        for body in _bodies(attribute):
            for inner in body.all_nodes():
                for value in inner.inputs:
                    if value is not None and _belongs(value, graph):
                        yield value
            for value in body.outputs:
                if _belongs(value, graph):
                    yield value


def _belongs(value: ir.Value, graph: ir.Graph) -> bool:
    producer = value.producer()
    return producer.graph is graph if producer is not None else value in graph.inputs


def _bodies(attribute: ir.Attr) -> tuple[ir.Graph, ...]:
    if attribute.type == ir.AttributeType.GRAPH:
        return (attribute.as_graph(),)
    return tuple(attribute.as_graphs()) if attribute.type == ir.AttributeType.GRAPHS else ()


def _seconds(node: ir.Node) -> float:
    bodies = [body for attribute in node.attributes.values() for body in _bodies(attribute)]
    if not bodies:
        return seconds_of(node_cost(node, static_shape))
    inside = [sum(_seconds(inner) for inner in body if inner.op_type != "Constant") for body in bodies]
    if node.op_type == "If":
        return CALL + max(inside)
    rounds = rounds_of(node)
    return CALL + sum(inside) * (1 if rounds is None else rounds)
