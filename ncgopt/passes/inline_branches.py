"""Put the branch of an If that always runs in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.conditions import truth
from ncgopt.passes.base import Pass
from ncgopt.rewrite.engine import where
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session, subgraphs
from ncgopt.rewrite.splice import Splicer, has_kept

Given = Mapping[ir.Value, bool]


@dataclass(frozen=True)
class InlineBranches(Pass):
    """Replace an If whose condition is the same on every run by the branch that runs.

    The condition is a constant, follows from shapes (`Equal(Gather(Shape(x), 0), 1)`,
    `Equal(Size(Shape(x)), 2)`), or is that of an If around it. What the other branch needed alone
    goes too. An If that holds something protected stays.
    """

    name = "inline-branches"
    claim = Claim.EXACT

    def run(self, model: ir.Model, session: Session) -> int:
        """Repeat until nothing changes: what a branch computes has a known shape only once it is inlined."""
        count = 0
        splicer = Splicer(model, session)
        graphs = [model.graph, *(f.graph for f in model.functions.values())]
        while not session.exhausted:
            facts.forget()
            inlined = sum(self._graph(graph, {}, splicer, session) for graph in graphs)
            if not inlined:
                break
            count += inlined
        return count

    def _graph(self, graph: ir.Graph, given: Given, splicer: Splicer, session: Session) -> int:
        count = 0
        for node in list(graph):
            if node.graph is not graph:
                continue
            branches = branches_of(node)
            holds = truth(node.inputs[0], given) if branches is not None else None
            if branches is not None and holds is not None and not has_kept(node):
                if session.spend(self.name, where(node)):
                    splicer.retire(node, splicer.unpack(node, branches[not holds]))
                    count += 1
                continue
            for inner in subgraphs(node):
                count += self._graph(inner, _assuming(node, inner, branches, given), splicer, session)
        return count


def branches_of(node: ir.Node) -> tuple[ir.Graph, ir.Graph] | None:
    """The branches of an If, first the one taken where the condition holds; None for anything else."""
    if node.op_type != "If" or node.domain or len(node.inputs) != 1:
        return None
    found = [node.attributes.get(name) for name in ("then_branch", "else_branch")]
    graphs = [a.as_graph() for a in found if a is not None and a.type == ir.AttributeType.GRAPH]
    if len(graphs) != 2 or any(len(g.outputs) != len(node.outputs) or g.inputs for g in graphs):
        return None
    return graphs[0], graphs[1]


def _assuming(node: ir.Node, inner: ir.Graph, branches: tuple[ir.Graph, ir.Graph] | None, given: Given) -> Given:
    """What is known inside `inner`: in a branch, also that the condition holds or does not."""
    condition = node.inputs[0] if branches is not None else None
    if branches is None or condition is None:
        return given
    known = {**given, condition: inner is branches[0]}
    negated = facts.producer(condition, "Not")
    if negated is not None and negated.inputs[0] is not None:
        known[negated.inputs[0]] = inner is not branches[0]
    return known
