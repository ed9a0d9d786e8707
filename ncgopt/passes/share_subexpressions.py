"""Compute the same thing once."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Hashable
from dataclasses import dataclass

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.determinism import is_deterministic
from ncgopt.facts.nesting import subgraphs
from ncgopt.passes.base import Pass
from ncgopt.rewrite.removal import remove_node
from ncgopt.rewrite.replacement import may_take_name, replace_value
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session, where

Key = tuple[Hashable, ...]
Seen = ChainMap[Key, ir.Node]


@dataclass(frozen=True)
class ShareSubexpressions(Pass):
    """Let nodes with the same operator, attributes and inputs share one result.

    A node in a subgraph may use what the graph around it computed before. Random operators,
    unknown domains and nodes with subgraphs are never shared.
    """

    name = "share-subexpressions"
    claim = Claim.EXACT

    def run(self, model: ir.Model, session: Session) -> int:
        """Walk each scope in order with the nodes seen so far in it and around it."""
        count = self._scope(model.graph, ChainMap[Key, ir.Node](), session)
        for function in model.functions.values():
            count += self._scope(function.graph, ChainMap[Key, ir.Node](), session)
        return count

    def _scope(self, graph: ir.Graph, seen: Seen, session: Session) -> int:
        count = 0
        for node in list(graph):
            for inner in subgraphs(node):
                count += self._scope(inner, seen.new_child(), session)
            key = _key(node)
            if key is None:
                continue
            first = seen.get(key)
            if first is None:
                seen[key] = node
            elif self._merge(graph, node, first, session):
                count += 1
        return count

    def _merge(self, graph: ir.Graph, node: ir.Node, first: ir.Node, session: Session) -> bool:
        for old, value in zip(node.outputs, first.outputs, strict=True):
            if old.is_graph_output() and not may_take_name(value, graph):
                return False
        if not session.spend(self.name, where(node)):
            return False
        for old, value in zip(node.outputs, first.outputs, strict=True):
            if old.uses() or old.is_graph_output():
                if not value.name:
                    value.name = session.fresh_name(f"{first.name or first.op_type}:out")
                replace_value(graph, old, value, fresh=False)
        remove_node(node)
        return True


def _key(node: ir.Node) -> Key | None:
    if facts.is_kept(node) or not is_deterministic(node) or subgraphs(node):
        return None
    attributes: list[Hashable] = []
    for name in sorted(node.attributes):
        attribute = node.attributes[name]
        if attribute.is_ref():
            attributes.append((name, "ref", attribute.ref_attr_name))
        elif attribute.type == ir.AttributeType.TENSOR:
            tensor = attribute.as_tensor()
            small = tensor.nbytes <= 1024 and tensor.dtype != ir.DataType.STRING
            content = tensor.tobytes() if small else id(tensor)
            attributes.append((name, tensor.dtype, tuple(tensor.shape.numpy()), content))
        else:
            attributes.append((name, attribute.type, str(attribute.value)))
    inputs = tuple(None if v is None else id(v) for v in node.inputs)
    used = tuple(bool(v.name) for v in node.outputs)
    return (node.domain, node.op_type, node.version, inputs, tuple(attributes), used)
