"""Put the nodes into the order that makes ONNX Runtime execute them with little memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from ncgopt.facts.nesting import nodes_within, subgraphs
from ncgopt.memory.order import Work, best
from ncgopt.memory.trial import Trials, bindings, default_binding
from ncgopt.passes.base import Pass
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session

_GAIN = 0.995  # what the peak may be afterwards, of what it was


@dataclass(frozen=True)
class OrderForMemory(Pass):
    """The order of the nodes in the file is changed where that lowers the peak of a run.

    ONNX Runtime does not follow that order, but it decides by it which of several inputs of a node is computed
    first. The best choices are found for the graph as it is (proven best up to about 30 nodes), and kept only if
    the peak falls that is predicted for the graph that ONNX Runtime makes of it.
    """

    name = "order-for-memory"
    claim = Claim.EXACT
    closing = True

    at: tuple[str, ...] = field(
        default=(), metadata={"help": "sizes of symbolic dimensions that the peak is predicted at, as NAME=N"}
    )

    def run(self, model: ir.Model, session: Session) -> int:
        """Find an order, and try it and its mirror image: fusions turn choices round."""
        if session.exhausted or self.name in session.avoided.sources:
            return 0
        trials = Trials(session.compute, default_binding(model.graph, bindings(self.at)))
        work = work_of(model.graph, trials)
        found = best(work)
        before = trials.of(model) if found is not None else None
        if found is None or before is None:
            return 0
        ranked: list[tuple[int, Sequence[int]]] = []
        for file in filter(None, (found.file, found.mirrored)):
            if file == tuple(range(len(file))):
                continue
            copy = model.clone()
            put(copy.graph, file)
            after = trials.of(copy)
            if after is not None and after.peak_bytes < before.peak_bytes * _GAIN:
                ranked.append((after.peak_bytes, file))
        if not ranked:
            return 0
        peak, file = min(ranked)
        proven = ", proven least of all orders" if found.optimal else ""
        text = f"peak {before.peak_bytes} -> {peak}; bound {work.bound}, found {found.peak} before fusions{proven}"
        if not session.spend(self.name, text):
            return 0
        put(model.graph, file)
        return 1


def work_of(graph: ir.Graph, trials: Trials) -> Work:
    """The main graph's nodes, with what their subgraphs read."""
    nodes = list(graph)
    places = {node: place for place, node in enumerate(nodes)}
    reads = [
        sorted({places[p] for value in _read(node) if (p := value.producer()) is not None and p in places})
        for node in nodes
    ]
    kept = {places[p] for value in graph.outputs if (p := value.producer()) is not None and p in places}
    return Work(reads, [sum(trials.size(v) for v in node.outputs) for node in nodes], frozenset(kept))


def _read(node: ir.Node) -> Iterator[ir.Value]:
    for one in (node, *(inner for body in subgraphs(node) for inner in nodes_within(body))):
        yield from (value for value in one.inputs if value is not None)
    for body in subgraphs(node):
        yield from body.outputs


def put(graph: ir.Graph, file: Sequence[int]) -> None:
    """Bring the nodes into an order that respects the edges."""
    nodes = list(graph)
    graph.remove(nodes)
    graph.extend(nodes[place] for place in file)
