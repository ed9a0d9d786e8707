"""The order in which ONNX Runtime executes the nodes of a graph, which is not that of the file.

Source: `GraphViewer` (onnxruntime/core/graph/graph_viewer.cc) and `Graph::ReverseDFSFrom`,
`Graph::KahnsTopologicalSort` (onnxruntime/core/graph/graph.cc). A node's index is its place in the file;
nodes that graph optimizations make come behind all others.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from onnx import AttributeProto, GraphProto, NodeProto


def reads(node: NodeProto) -> Iterator[str]:
    """Names of the values that a node reads, those that its subgraphs read from outside included."""
    yield from (name for name in node.input if name)
    for body in bodies(node):
        yield from _captured(body)


def bodies(node: NodeProto) -> Iterator[GraphProto]:
    """The subgraphs of a node."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def default_order(nodes: Sequence[NodeProto]) -> list[int]:
    """Places of the nodes in ONNX Runtime's default order.

    Depth first from the nodes that nobody reads, the last of them first; of what a node reads, the
    producer with the highest index comes first.
    """
    edges = _producers(nodes)
    inner = {place for edge in edges for place in edge}
    stack = [(place, False) for place in range(len(nodes)) if place not in inner]
    seen: set[int] = set()
    order: list[int] = []
    while stack:
        place, done = stack.pop()
        if done:
            order.append(place)
        elif place not in seen:
            seen.add(place)
            stack.append((place, True))
            stack.extend((producer, False) for producer in edges[place] if producer not in seen)
    return order


def priority_order(nodes: Sequence[NodeProto]) -> list[int]:
    """Places of the nodes in the order of `ExecutionOrder.PRIORITY_BASED`.

    Of the nodes whose inputs are there, a Shape or Size comes first, then the lowest index.
    """
    edges = _producers(nodes)
    users: list[list[int]] = [[] for _ in nodes]
    for place, edge in enumerate(edges):
        for producer in edge:
            users[producer].append(place)
    missing = [len(edge) for edge in edges]

    def rank(place: int) -> tuple[bool, int]:
        return nodes[place].op_type not in ("Shape", "Size"), place

    ready = [rank(place) for place, count in enumerate(missing) if not count]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        _, place = heapq.heappop(ready)
        order.append(place)
        for user in users[place]:
            missing[user] -= 1
            if not missing[user]:
                heapq.heappush(ready, rank(user))
    return order


def _producers(nodes: Sequence[NodeProto]) -> list[list[int]]:
    """Per node the places of the nodes whose outputs it reads, ascending."""
    made = {name: place for place, node in enumerate(nodes) for name in node.output if name}
    return [sorted({made[name] for name in reads(node) if name in made}) for node in nodes]


def _captured(graph: GraphProto) -> Iterator[str]:
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        yield from (name for name in reads(node) if name not in own)
        own.update(node.output)
    yield from (value.name for value in graph.output if value.name not in own)
