"""Which node of one model is which of another: by what they compute, and where that differs by their names."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import onnx_ir as ir

from ncgopt.passes._contents import digest, sample

Kind = ir.AttributeType


@dataclass(frozen=True)
class Matching:
    """Nodes of the main graphs of two models.

    Attributes:
        same: pairs with the same operator and attributes, reading the same; their names may differ.
        changed: pairs that produce values of the same name in another way.
        removed: nodes that only the first has.
        added: nodes that only the second has.
    """

    same: Mapping[ir.Node, ir.Node]
    changed: Mapping[ir.Node, ir.Node]
    removed: Sequence[ir.Node]
    added: Sequence[ir.Node]


def match(left: ir.Model, right: ir.Model, *, exact: bool) -> Matching:
    """Match the nodes of two models.

    A value that both sides name alike is taken for the same value: exporters and optimizers keep names. Values with a
    name on one side only are known by what computes them, so that a renamed model matches as well.

    Args:
        left: one model; nothing is changed in it.
        right: the other one.
        exact: compare weights by all their bytes, not by a few elements.

    Raises:
        InputUnreadable: a file with weights cannot be read any more.
    """
    shared = _names(left.graph) & _names(right.graph)
    keys = _Keys(shared, exact=exact)
    waiting: dict[Hashable, deque[ir.Node]] = defaultdict(deque)
    for node in right.graph:
        waiting[keys.of(node)].append(node)
    same: dict[ir.Node, ir.Node] = {}
    for node in left.graph:
        if candidates := waiting.get(keys.of(node)):
            same[node] = candidates.popleft()
    taken = set(same.values())
    named = {value.name: node for node in right.graph if node not in taken for value in node.outputs if value.name}
    changed: dict[ir.Node, ir.Node] = {}
    for node in left.graph:
        if node not in same:
            other = next((named[value.name] for value in node.outputs if value.name in named), None)
            if other is not None and other not in taken:
                changed[node] = other
                taken.add(other)
    removed = [node for node in left.graph if node not in same and node not in changed]
    return Matching(same, changed, removed, [node for node in right.graph if node not in taken])


def _names(graph: ir.Graph) -> set[str]:
    return {value.name for node in graph for value in node.outputs if value.name}


class _Keys:
    """What a node computes, as something that can be compared."""

    def __init__(self, shared: set[str], *, exact: bool) -> None:
        self._shared, self._exact = shared, exact
        self._numbers: dict[Hashable, int] = {}
        self._of: dict[ir.Node, int] = {}

    def of(self, node: ir.Node) -> int:
        """Equal for two nodes with the same operator, attributes and inputs."""
        if node not in self._of:
            inputs = tuple(self._value(value) for value in node.inputs)
            key = (node.domain, node.op_type, node.overload, attributes_key(node), inputs, len(node.outputs))
            self._of[node] = self._numbers.setdefault(key, len(self._numbers))
        return self._of[node]

    def _value(self, value: ir.Value | None) -> Hashable:
        if value is None:
            return None
        if value.const_value is not None and value.is_initializer():
            return ("weight", *weight_key(value, exact=self._exact))
        producer = value.producer()
        if producer is None or value.name in self._shared:
            return ("value", value.name)
        return ("output", self.of(producer), value.index())


def weight_key(value: ir.Value, *, exact: bool) -> tuple[Hashable, ...]:
    """Equal for weights with the same type, shape and bytes; not `exact`: the same few elements."""
    tensor = value.const_value
    assert tensor is not None
    shape = tuple(tensor.shape.numpy())
    if tensor.dtype == ir.DataType.STRING:
        return tensor.dtype, shape, tuple(cast("list[object]", tensor.numpy().reshape(-1).tolist()))
    return tensor.dtype, shape, digest(value) if exact else sample(value)


def attributes_key(node: ir.Node) -> Hashable:
    """Equal for nodes with the same attributes, those of subgraphs included."""
    return tuple(sorted((name, _attribute_key(one)) for name, one in node.attributes.items()))


def _attribute_key(attribute: ir.Attr) -> str:
    if attribute.is_ref():
        return f"@{attribute.ref_attr_name}"
    match attribute.type:
        case Kind.TENSOR:
            tensor = attribute.as_tensor()
            return f"{tensor.dtype} {tensor.shape} {hash(tensor.tobytes())}" if tensor.size else f"{tensor.shape}"
        case Kind.GRAPH:
            return _graph_key(attribute.as_graph())
        case Kind.GRAPHS:
            return "; ".join(_graph_key(graph) for graph in attribute.as_graphs())
        case _:
            return f"{attribute.type} {attribute.value!r}"


def _graph_key(graph: ir.Graph) -> str:
    nodes = (
        f"{node.domain}::{node.op_type} {[value and value.name for value in node.inputs]} {attributes_key(node)}"
        for node in graph
    )
    return f"({[value.name for value in graph.inputs]} {'; '.join(nodes)} {[value.name for value in graph.outputs]})"
