"""Put the branch of an If that always runs in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.conditions import branches_of, truth
from ncgopt.facts.nesting import subgraphs
from ncgopt.facts.refutation import forced_branch
from ncgopt.passes.base import Pass
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session, where
from ncgopt.rewrite.splice import Splicer, has_kept

Given = Mapping[ir.Value, bool]


@dataclass(frozen=True)
class InlineBranches(Pass):
    """Replace an If whose condition is the same on every run by the branch that runs.

    The condition is a constant, follows from shapes (`Equal(Gather(Shape(x), 0), 1)`,
    `Equal(Size(Shape(x)), 2)`), is that of an If around it, or must be what it is for the model to run
    at all: with the other branch an LSTM would get an operand of rank 4. What the other branch needed
    alone goes too. An If that holds something protected stays.
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
            holds = _holds(node, branches, given) if branches is not None else None
            if branches is not None and holds is not None and not has_kept(node):
                if session.spend(self.name, where(node)):
                    splicer.retire(node, splicer.unpack(node, branches[not holds]))
                    count += 1
                continue
            for inner in subgraphs(node):
                count += self._graph(inner, _assuming(node, inner, branches, given), splicer, session)
        return count


def _holds(node: ir.Node, branches: tuple[ir.Graph, ir.Graph], given: Given) -> bool | None:
    known = truth(node.inputs[0], given)
    return forced_branch(node, branches, given) if known is None else known


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
