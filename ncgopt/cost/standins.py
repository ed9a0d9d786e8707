"""Nodes that ONNX's shape inference cannot see through, exchanged for ones that it can.

Inference works on a copy of the model in which a node may be replaced by stand-ins that have the same
shapes; afterwards the originals are put back and the shapes stay. Stand-ins are never run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx
from onnx import helper

_MARK = "ncgopt stand-in "
_MS = "com.microsoft"

# The result has the shape of the first input. Source of this and the next table: ONNX Runtime's
# docs/ContribOperators.md.
_SAME = frozenset(
    [
        "Attention",
        "BiasAdd",
        "BiasGelu",
        "BiasSoftmax",
        "FastGelu",
        "Gelu",
        "GroupQueryAttention",
        "MultiHeadAttention",
        "QLinearLeakyRelu",
        "QLinearSigmoid",
        "QuickGelu",
        "RotaryEmbedding",
        "SimplifiedLayerNormalization",
        "SkipLayerNormalization",
        "SkipSimplifiedLayerNormalization",
    ]
)
# Contrib operator -> the standard one, and which of its inputs that one takes.
_LIKE = {
    "DequantizeLinear": ("DequantizeLinear", (0, 1, 2)),
    "DynamicQuantizeLSTM": ("LSTM", (0, 1, 2)),
    "DynamicQuantizeMatMul": ("MatMul", (0, 1)),
    "EmbedLayerNormalization": ("Gather", (2, 0)),
    "FusedConv": ("Conv", (0, 1, 2)),
    "FusedGemm": ("Gemm", (0, 1, 2)),
    "MatMulIntegerToFloat": ("MatMulInteger", (0, 1)),
    "QLinearAdd": ("Add", (0, 3)),
    "QLinearMul": ("Mul", (0, 3)),
    "QuantizeLinear": ("QuantizeLinear", (0, 1, 2)),
}
_ATTRIBUTES = frozenset(
    [
        "alpha",
        "auto_pad",
        "axis",
        "beta",
        "dilations",
        "direction",
        "group",
        "hidden_size",
        "kernel_shape",
        "pads",
        "strides",
        "transA",
        "transB",
    ]
)
# SkipLayerNormalization and its like also give the sum that they normalize.
_SUM_OUTPUT = 3

Choose = Callable[[onnx.NodeProto], Sequence[onnx.NodeProto]]


class Exchange:
    """Stand-ins in a graph and its subgraphs, and the originals they stand for."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._originals: list[onnx.NodeProto] = []

    def move_to(self, graph: onnx.GraphProto) -> None:
        """Go on with a copy of the graph, as shape inference returns one."""
        self._graph = graph

    def put(self, choose: Choose) -> int:
        """Replace every node for which `choose` gives stand-ins; returns how many there were."""
        before = len(self._originals)
        self._put(self._graph, choose)
        return len(self._originals) - before

    def restore(self) -> None:
        """Put all originals back."""
        self._restore(self._graph, set(range(len(self._originals))))

    def _put(self, graph: onnx.GraphProto, choose: Choose) -> None:
        found: dict[int, Sequence[onnx.NodeProto]] = {}
        for index, node in enumerate(graph.node):
            for subgraph in subgraphs(node):
                self._put(subgraph, choose)
            stand_ins = () if node.doc_string.startswith(_MARK) else choose(node)
            if stand_ins:
                found[index] = stand_ins
                for stand_in in stand_ins:
                    stand_in.doc_string = f"{_MARK}{len(self._originals)}"
                self._originals.append(onnx.NodeProto.FromString(node.SerializeToString()))
        if found:
            _replace(graph, [new for index, node in enumerate(graph.node) for new in found.get(index, (node,))])

    def _restore(self, graph: onnx.GraphProto, pending: set[int]) -> None:
        nodes: list[onnx.NodeProto] = []
        for node in graph.node:
            for subgraph in subgraphs(node):
                self._restore(subgraph, pending)
            if not node.doc_string.startswith(_MARK):
                nodes.append(node)
                continue
            index = int(node.doc_string.removeprefix(_MARK))
            if index in pending:
                pending.remove(index)
                nodes.append(self._originals[index])
        _replace(graph, nodes)


def subgraphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """Graphs in the attributes of a node."""
    return [
        graph
        for attribute in node.attribute
        if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
        for graph in (attribute.graphs if attribute.graphs else (attribute.g,))
    ]


def for_contrib(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Standard operators for a `com.microsoft` one: users bring these, and the optimizer emits them."""
    # ONNX Runtime registers SimplifiedLayerNormalization in ONNX's own domain, where ONNX has none.
    if node.domain != _MS and node.op_type != "SimplifiedLayerNormalization":
        return []
    if node.op_type in _SAME:
        names = [node.output[0], *node.output[_SUM_OUTPUT:]] if "Skip" in node.op_type else [node.output[0]]
        return [helper.make_node("Identity", [node.input[0]], [name]) for name in names if name]
    if node.op_type == "FusedMatMul":
        return [_fused_matmul(node)]
    if node.op_type not in _LIKE:
        return []
    op_type, picks = _LIKE[node.op_type]
    inputs = [node.input[k] for k in picks if k < len(node.input)]
    outputs = node.output if op_type == "LSTM" else node.output[:1]
    stand_in = helper.make_node(op_type, inputs, outputs)
    stand_in.attribute.extend(a for a in node.attribute if a.name in _ATTRIBUTES and op_type not in ("Add", "Mul"))
    return [stand_in]


def _fused_matmul(node: onnx.NodeProto) -> onnx.NodeProto:
    """Einsum says in one node what transposing either side before MatMul takes three for."""
    flags = {a.name: a.i for a in node.attribute}
    if not flags.get("transA") and not flags.get("transB"):
        return helper.make_node("MatMul", node.input[:2], node.output[:1])
    left = "...ki" if flags.get("transA") else "...ik"
    right = "...jk" if flags.get("transB") else "...kj"
    return helper.make_node("Einsum", node.input[:2], node.output[:1], equation=f"{left},{right}->...ij")


def _replace(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> None:
    # Copied first: deleting the old list invalidates the messages in it.
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
