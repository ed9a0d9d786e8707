"""One of two models that are compared: who computes what in its main graph, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import onnx
import onnx_ir as ir

from ncgopt import model as models
from ncgopt.facts.constants import constant_tensor
from ncgopt.model.tensors import byte_size, raw_bytes, string_data, write_tensor
from ncgopt.model.write import Writer

_CHUNK = 1 << 24  # bytes compared at a time


class NodeWriter(Writer):
    """Writes single nodes and functions, their constants embedded."""

    def __init__(self) -> None:
        super().__init__(lambda tensor: write_tensor(tensor, embed=True))

    def node(self, node: ir.Node) -> onnx.NodeProto:
        """A node with everything in it."""
        proto = onnx.NodeProto()
        self._node(node, proto)
        return proto

    def function(self, function: ir.Function) -> onnx.FunctionProto:
        """A local function."""
        proto = onnx.FunctionProto()
        self._function(function, proto)
        return proto


@dataclass
class Side:
    """The main graph of a model, indexed. Weights stay where they are until somebody reads one.

    Attributes:
        model: the model as loaded.
        nodes: all nodes but `Constant`, in an order in which they can run.
        place: the position of each in `nodes`.
        values: everything that has a name in the main graph: inputs, initializers, what nodes compute.
        ancestors: per node position a bit mask of the positions that it depends on, itself included.
        functions: the local functions, written.
    """

    model: ir.Model
    nodes: list[ir.Node] = field(default_factory=list[ir.Node])
    place: dict[ir.Node, int] = field(default_factory=dict[ir.Node, int])
    values: dict[str, ir.Value] = field(default_factory=dict[str, ir.Value])
    ancestors: list[int] = field(default_factory=list[int])
    functions: dict[ir.OperatorIdentifier, onnx.FunctionProto] = field(
        default_factory=dict[ir.OperatorIdentifier, onnx.FunctionProto]
    )
    _texts: dict[ir.Node, bytes] = field(default_factory=dict[ir.Node, bytes])

    @classmethod
    def load(cls, path: Path) -> Side:
        """Read a model; raises what `ncgopt.model.load` raises."""
        return cls.of(models.load(path).model)

    @classmethod
    def of(cls, model: ir.Model) -> Side:
        """Index a model in memory."""
        side = cls(model)
        writer = NodeWriter()
        side.functions = {key: writer.function(function) for key, function in model.functions.items()}
        graph = model.graph
        for value in (*graph.initializers.values(), *graph.inputs):
            side.values[value.name or ""] = value
        for node in graph:
            side.values.update((value.name, value) for value in node.outputs if value.name)
            if _is_constant(node):
                continue
            side.place[node] = len(side.nodes)
            side.nodes.append(node)
            mask = 1 << side.place[node]
            for value in inputs_of(node):
                mask |= side.depends_on(value)
            side.ancestors.append(mask)
        return side

    def depends_on(self, value: ir.Value) -> int:
        """A bit mask of the positions of the nodes that `value` depends on."""
        producer = self.producer(value)
        return 0 if producer is None else self.ancestors[self.place[producer]]

    def producer(self, value: ir.Value) -> ir.Node | None:
        """The node that computes `value`; None for inputs and constants."""
        node = value.producer()
        return None if node is None or _is_constant(node) else node

    def tensor(self, value: ir.Value) -> ir.TensorProtocol | None:
        """The contents of a constant, an initializer that a caller may override included; else None."""
        if value.is_initializer():
            return value.const_value
        node = value.producer()
        return constant_tensor(node) if node is not None and _is_constant(node) else None

    def text(self, node: ir.Node) -> bytes:
        """The node without what it, its inputs and its outputs are called."""
        if node not in self._texts:
            proto = NodeWriter().node(node)
            for name in ("name", "doc_string", "input", "output", "metadata_props"):
                proto.ClearField(name)
            # Left-out inputs and outputs change what a node does.
            shape = [value is None for value in node.inputs], [bool(value.name) for value in node.outputs]
            self._texts[node] = repr(shape).encode() + proto.SerializeToString(deterministic=True)
        return self._texts[node]


def inputs_of(node: ir.Node) -> list[ir.Value]:
    """What a node reads, without repetition: its inputs, then what its subgraphs take from the main graph."""
    found = dict.fromkeys(value for value in node.inputs if value is not None)
    for graph in _graphs(node):
        found |= dict.fromkeys(_captured(graph))
    return list(found)


def weight_bytes(tensor: ir.TensorProtocol) -> int:
    """Bytes of a constant."""
    return byte_size(tensor.dtype, int(tensor.size)) if tensor.dtype != ir.DataType.STRING else 16 * int(tensor.size)


def same_tensor(a: ir.TensorProtocol, b: ir.TensorProtocol) -> bool:
    """Equal types, shapes and bits; read piece by piece where they lie in files."""
    if a is b:
        return True
    if a.dtype != b.dtype or list(a.shape) != list(b.shape):
        return False
    if a.dtype == ir.DataType.STRING:
        return string_data(a) == string_data(b)
    left, right = memoryview(raw_bytes(a)).cast("B"), memoryview(raw_bytes(b)).cast("B")
    pieces = range(0, len(left), _CHUNK)
    return len(left) == len(right) and all(left[at : at + _CHUNK] == right[at : at + _CHUNK] for at in pieces)


def _is_constant(node: ir.Node) -> bool:
    return node.op_type == "Constant" and not node.domain


def _graphs(node: ir.Node) -> Iterator[ir.Graph]:
    for attribute in node.attributes.values():
        if attribute.is_ref():
            continue
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def _captured(graph: ir.Graph) -> Iterator[ir.Value]:
    own = {*graph.inputs, *graph.initializers.values(), *(value for node in graph for value in node.outputs)}
    used: Iterable[ir.Value] = (*(value for node in graph for value in inputs_of(node)), *graph.outputs)
    yield from (value for value in used if value not in own)
