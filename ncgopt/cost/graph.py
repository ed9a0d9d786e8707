"""The cost of a whole model under given sizes of its symbolic dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import onnx_ir as ir

from ncgopt.cost import shapes
from ncgopt.cost.node import NodeCost, node_cost, weight_bytes
from ncgopt.records import record


@dataclass
class OperatorCost:
    """All nodes of one operator together.

    Attributes:
        nodes: nodes of this operator, `Constant` left out.
        flops: their FLOPs, where known.
        bytes_moved: bytes they read and write, where known.
        weight_bytes: bytes of their constant inputs; weights used twice count twice.
        unknown: nodes whose FLOPs are not known; they are not in `flops`.
        unsized: nodes whose bytes are not known; they are not in `bytes_moved`.
    """

    nodes: int = 0
    flops: int = 0
    bytes_moved: int = 0
    weight_bytes: int = 0
    unknown: int = 0
    unsized: int = 0


@record
class GraphCost:
    """Cost of one run of a model.

    Attributes:
        bindings: size of every symbolic dimension that this holds for.
        flops: sum over all nodes whose cost is known.
        bytes_moved: the same for bytes read and written.
        unknown: nodes whose FLOPs are not known.
        operators: per operator, named `domain::op` outside the default domain, most FLOPs first.
        notes: assumptions that went in, one line each.
    """

    bindings: Mapping[str, int]
    flops: int
    bytes_moved: int
    unknown: int
    operators: Mapping[str, OperatorCost]
    notes: tuple[str, ...]


def graph_cost(model: ir.Model, bindings: Mapping[str, int]) -> GraphCost:
    """Count FLOPs and bytes of a model, subgraphs and calls of local functions included.

    Of an If the branch with more FLOPs counts. The body of a Loop counts as often as its constant trip
    count says, once where that is not constant; the body of a Scan once per step.

    Args:
        model: the model; it is not changed.
        bindings: sizes of symbolic dimensions; those left out count as 1.
    """
    sizes = {**shapes.symbols(model), **bindings}
    tally = _Tally()
    tally.add(shapes.bound(model, bindings).graph, 1)
    operators = dict(sorted(tally.operators.items(), key=lambda item: (-item[1].flops, -item[1].nodes, item[0])))
    return GraphCost(
        bindings=sizes,
        flops=sum(cost.flops for cost in operators.values()),
        bytes_moved=sum(cost.bytes_moved for cost in operators.values()),
        unknown=sum(cost.unknown for cost in operators.values()),
        operators=operators,
        notes=tuple(tally.notes),
    )


def static_shape(value: ir.Value) -> tuple[int, ...] | None:
    """The shape of a value where inference found a number for every dimension."""
    if value.const_value is not None:
        return tuple(value.const_value.shape.numpy())
    # Sizes that an operator cannot take make inference give negative ones.
    if value.shape is None or not all(isinstance(dim, int) and dim >= 0 for dim in value.shape):
        return None
    return tuple(value.shape.numpy())


@dataclass
class _Tally:
    operators: dict[str, OperatorCost] = field(default_factory=dict[str, OperatorCost])
    notes: dict[str, None] = field(default_factory=dict[str, None])

    def add(self, graph: ir.Graph, times: int) -> None:
        """Count every node of a graph that runs `times` times."""
        for node in graph:
            if node.op_type == "Constant" and not node.domain:
                continue
            bodies = [(name, a.as_graph()) for name, a in node.attributes.items() if a.type == ir.AttributeType.GRAPH]
            if bodies:
                self._control(node, dict(bodies), times)
            else:
                self._count(node, node_cost(node, static_shape), times)

    def _count(self, node: ir.Node, cost: NodeCost | None, times: int) -> None:
        entry = self._entry(node)
        entry.weight_bytes += weight_bytes(node)
        if cost is None:
            entry.unknown += 1
            entry.unsized += 1
            return
        entry.flops += cost.flops * times
        if cost.bytes_moved is None:
            entry.unsized += 1
        else:
            entry.bytes_moved += cost.bytes_moved * times

    def _control(self, node: ir.Node, bodies: Mapping[str, ir.Graph], times: int) -> None:
        """A node that runs other graphs costs what these cost."""
        self._entry(node)
        if node.op_type == "If":
            branches = [_of(body, times) for body in bodies.values()]
            self._merge(max(branches, key=lambda branch: branch.flops))
            self.notes["If: the branch with more FLOPs counts"] = None
            return
        rounds = rounds_of(node)
        if rounds is None:
            self.notes[f"{node.op_type}: number of rounds not known, the body counts once"] = None
        for body in bodies.values():
            self._merge(_of(body, times * (1 if rounds is None else rounds)))

    def _entry(self, node: ir.Node) -> OperatorCost:
        name = f"{node.domain}::{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
        entry = self.operators.setdefault(name, OperatorCost())
        entry.nodes += 1
        return entry

    @property
    def flops(self) -> int:
        return sum(cost.flops for cost in self.operators.values())

    def _merge(self, other: _Tally) -> None:
        for name, cost in other.operators.items():
            entry = self.operators.setdefault(name, OperatorCost())
            for attribute, amount in vars(cost).items():
                setattr(entry, attribute, getattr(entry, attribute) + amount)
        self.notes.update(other.notes)


def _of(graph: ir.Graph, times: int) -> _Tally:
    tally = _Tally()
    tally.add(graph, times)
    return tally


def rounds_of(node: ir.Node) -> int | None:
    """How often the body of a Loop (constant trip count) or Scan (length of a scanned input) runs."""
    if node.op_type == "Loop":
        tensor = _constant(node.inputs[0])
        return None if tensor is None else max(0, int(tensor.numpy().reshape(-1)[0]))
    if node.op_type == "Scan" and "num_scan_inputs" in node.attributes:
        scanned = node.attributes["num_scan_inputs"].as_int()
        value = node.inputs[len(node.inputs) - scanned]
        axes = node.attributes.get("scan_input_axes")
        shape = None if value is None else static_shape(value)
        return None if shape is None else shape[axes.as_ints()[0] if axes is not None else 0]
    return None


def _constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    if value is None or value.const_value is not None:
        return None if value is None else value.const_value
    node = value.producer()
    if node is None or node.op_type != "Constant" or "value" not in node.attributes:
        return None
    return node.attributes["value"].as_tensor()
