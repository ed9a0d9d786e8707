"""Turn `Constant` nodes into initializers."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import constant_tensor
from ncgopt.facts.nesting import graphs_within
from ncgopt.model.tensors import SparseTensor
from ncgopt.passes.base import Pass
from ncgopt.rewrite.removal import remove_node
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session, where


@dataclass(frozen=True)
class LiftConstants(Pass):
    """Turn `Constant` nodes into initializers of the same graph and name.

    A node costs more bytes than an initializer, and other passes see the constant as such. In
    local functions, which have no initializers, they stay; so do those that are an output of their
    graph (an output needs a producer) and sparse ones, which would become dense.
    """

    name = "lift-constants"
    claim = Claim.EXACT

    def run(self, model: ir.Model, session: Session) -> int:
        """Replace each node in place: the value, and so every use of it, stays the same object's name."""
        count = 0
        for graph in graphs_within(model.graph):
            for node in list(graph):
                if self._can_lift(node) and session.spend(self.name, where(node)):
                    self._lift(graph, node)
                    count += 1
        return count

    def _can_lift(self, node: ir.Node) -> bool:
        if node.op_type != "Constant" or node.domain or facts.is_kept(node):
            return False
        tensor = constant_tensor(node)
        sparse = tensor is None or isinstance(tensor, SparseTensor)
        return not sparse and not node.outputs[0].is_graph_output()

    def _lift(self, graph: ir.Graph, node: ir.Node) -> None:
        old, tensor = node.outputs[0], constant_tensor(node)
        assert tensor is not None
        name, old.name = old.name, None
        tensor.name = name
        value = ir.Value(name=name, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor)  # pyright: ignore[reportArgumentType] - shapes of tensors are ir.Shape
        value.metadata_props.update(old.metadata_props)
        for use in tuple(old.uses()):
            use.node.replace_input_with(use.idx, value)
        remove_node(node)
        graph.register_initializer(value)
