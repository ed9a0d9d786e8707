"""A pass, asked for by name."""

from dataclasses import dataclass

import onnx_ir as ir

from ncgopt.facts.nesting import nodes_within
from ncgopt.passes.base import Pass
from ncgopt.rewrite.removal import is_dead, remove_node
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session, where


@dataclass(frozen=True)
class DropDeadNeg(Pass):
    """Remove dead `Neg` nodes."""

    name = "example-drop-dead-neg"
    claim = Claim.EXACT

    def run(self, model: ir.Model, session: Session) -> int:
        """How many were removed."""
        count = 0
        for node in reversed(list(nodes_within(model.graph))):
            if node.op_type == "Neg" and is_dead(node) and session.spend(self.name, where(node)):
                remove_node(node)
                count += 1
        return count
