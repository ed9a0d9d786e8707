"""Replace a Loop by the rounds it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.nesting import subgraphs
from ncgopt.facts.rounds import loop_body, rounds
from ncgopt.passes.base import Pass
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session, where
from ncgopt.rewrite.splice import Splicer, has_kept


@dataclass(frozen=True)
class UnrollLoops(Pass):
    """Replace a Loop that runs a known number of rounds by the nodes of these rounds.

    A Loop that never runs passes on the values it starts from, one round is inlined, more are
    written one after the other where the model does not get more nodes by it than `max_growth`.
    The number of rounds follows from a constant trip count and a constant condition.
    """

    name = "unroll-loops"
    claim = Claim.EXACT

    max_growth: int = field(default=0, metadata={"help": "nodes by which unrolling one loop may enlarge the model"})

    def run(self, model: ir.Model, session: Session) -> int:
        """Repeat until nothing changes: a trip count may be computed by another loop."""
        count = 0
        splicer = Splicer(model, session)
        graphs = [model.graph, *(f.graph for f in model.functions.values())]
        while not session.exhausted:
            facts.forget()
            unrolled = sum(self._graph(graph, splicer, session) for graph in graphs)
            if not unrolled:
                break
            count += unrolled
        return count

    def _graph(self, graph: ir.Graph, splicer: Splicer, session: Session) -> int:
        count = 0
        for node in list(graph):
            if node.graph is not graph:
                continue
            for inner in subgraphs(node):
                count += self._graph(inner, splicer, session)
            body, number = loop_body(node), rounds(node)
            if body is None or number is None or has_kept(node) or not self._may_unroll(node, body, number):
                continue
            if session.spend(self.name, where(node)):
                _unroll(node, body, number, splicer)
                count += 1
        return count

    def _may_unroll(self, node: ir.Node, body: ir.Graph, number: int) -> bool:
        carried = len(node.inputs) - 2
        if any(v is None for v in node.inputs[2:]):
            return False
        scanned = [v for v in node.outputs[carried:] if v.uses() or v.is_graph_output()]
        if number == 0:
            return not scanned  # how large its empty elements are, the runtime takes from declared shapes
        if number == 1:
            return True
        growth = (number - 1) * _size(body) - 1 + len(scanned) * (number + 1)
        return growth <= self.max_growth


def _unroll(node: ir.Node, body: ir.Graph, number: int, splicer: Splicer) -> None:
    carried = list(node.inputs[2:])
    scanned: list[list[ir.Value | None]] = [[] for _ in node.outputs[len(carried) :]]
    for index in range(number):
        # The last round takes the body itself.
        current = splicer.copy(body) if index < number - 1 else body
        begins = dict(zip(current.inputs[2:], carried, strict=True))
        results = splicer.unpack(node, current, {**_counters(node, current, index, splicer), **begins})
        carried = results[1 : 1 + len(carried)]
        for found, value in zip(scanned, results[1 + len(carried) :], strict=True):
            found.append(value)
    outputs = node.outputs[len(carried) :]
    stacked = [_stacked(node, output, parts, splicer) for output, parts in zip(outputs, scanned, strict=True)]
    splicer.retire(node, [*carried, *stacked])


def _counters(node: ir.Node, body: ir.Graph, index: int, splicer: Splicer) -> Mapping[ir.Value, ir.Value]:
    """Number of the round and condition, in the rank that the body declares for them: the runtime goes by that."""
    given: dict[ir.Value, ir.Value] = {}
    for value, content in ((body.inputs[0], np.int64(index)), (body.inputs[1], np.bool_(True))):
        if value.uses() or value in body.outputs:
            rank = len(value.shape) if value.shape is not None else 0
            given[value] = splicer.constant(node, np.asarray(content).reshape((1,) * rank), value.name or "counter")
    return given


def _stacked(node: ir.Node, output: ir.Value, values: Sequence[ir.Value | None], splicer: Splicer) -> ir.Value | None:
    """The elements of a scan output along a new first axis; None if nobody asks for them."""
    if not (output.uses() or output.is_graph_output()):
        return None
    parts = [_with_first_axis(node, value, splicer) for value in values]
    return parts[0] if len(parts) == 1 else splicer.node(node, "Concat", parts, [ir.AttrInt64("axis", 0)])


def _with_first_axis(node: ir.Node, value: ir.Value | None, splicer: Splicer) -> ir.Value:
    if (node.version or 1) < 13:
        return splicer.node(node, "Unsqueeze", [value], [ir.AttrInt64s("axes", [0])])
    return splicer.node(node, "Unsqueeze", [value, splicer.constant(node, np.array([0]), "axis")])


def _size(graph: ir.Graph) -> int:
    """Nodes, those of subgraphs included, constants not."""
    return sum(node.op_type != "Constant" or bool(node.domain) for node in graph.all_nodes())
