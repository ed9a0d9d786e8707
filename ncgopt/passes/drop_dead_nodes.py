"""Remove what no output depends on."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from ncgopt.facts.nesting import nodes_within
from ncgopt.passes.base import Pass
from ncgopt.rewrite.removal import is_dead, is_unused_initializer, remove_node, remove_unused_initializer
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session, all_graphs, where


@dataclass(frozen=True)
class DropDeadNodes(Pass):
    """Remove nodes whose outputs nobody uses, initializers nobody reads, local functions nobody calls.

    No ONNX operator has a side effect, so what is not used is not missed. Initializers that are
    also graph inputs stay: they are part of the interface.
    """

    name = "drop-dead-nodes"
    claim = Claim.EXACT

    def run(self, model: ir.Model, session: Session) -> int:
        """Sweep each graph backwards, so that one sweep removes whole dead chains."""
        count = 0
        for graph in reversed(all_graphs(model)):
            for node in reversed(list(graph)):
                if node.graph is graph and is_dead(node) and session.spend(self.name, where(node)):
                    remove_node(node)
                    count += 1
            for value in list(graph.initializers.values()):
                if is_unused_initializer(value) and session.spend(self.name, f"initializer {value.name}"):
                    remove_unused_initializer(value)
                    count += 1
        return count + self._functions(model, session)

    def _functions(self, model: ir.Model, session: Session) -> int:
        """Remove functions that neither the graph nor a function that is called calls."""
        if not model.functions:
            return 0
        called: set[tuple[str, str, str]] = set()
        pending = {node.op_identifier() for node in nodes_within(model.graph)}
        while pending:
            identifier = pending.pop()
            if identifier in model.functions and identifier not in called:
                called.add(identifier)
                pending |= {node.op_identifier() for node in nodes_within(model.functions[identifier].graph)}
        count = 0
        for identifier in [i for i in model.functions if i not in called]:
            if session.spend(self.name, f"function {identifier[0]}::{identifier[1]}"):
                for node in model.functions[identifier]:
                    remove_node(node)
                del model.functions[identifier]
                count += 1
        return count
