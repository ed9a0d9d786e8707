"""Blocked convolutions in standard operators, as far as the sizes of their outputs go.

ONNX Runtime computes convolutions with channels in blocks of 8 or 16 (domain `com.microsoft.nchwc`;
onnxruntime/core/optimizer/nchwc_transformer.cc), and puts reordering operators around them.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import GraphProto, NodeProto, TensorProto, helper

_BLOCKED = "com.microsoft.nchwc"
_FUSED = ("com.microsoft", "FusedConv")
_SLICE_INPUTS, _PAD_INPUTS = 10, 11  # operator sets since which these take constants as inputs
# Operators of that domain with outputs sized like those of the standard ones: how many inputs both have.
_LIKE_STANDARD = {"Conv": 3, "MaxPool": 1, "AveragePool": 1, "GlobalMaxPool": 1, "GlobalAveragePool": 1}


def use_standard_operators(graph: GraphProto, version: int) -> None:
    """Exchange blocked operators for standard ones of operator set `version` with outputs of the same sizes."""
    shapes = {value.name: value.type.tensor_type.shape.dim for value in (*graph.value_info, *graph.input)}
    blocked = _blocked_channels(graph)
    nodes: list[NodeProto] = []
    for node in graph.node:
        if (node.domain, node.op_type) == _FUSED:
            nodes.append(_like_standard(node, "Conv", version))
        elif node.domain != _BLOCKED:
            nodes.append(node)
        elif node.op_type in _LIKE_STANDARD:
            nodes.append(_like_standard(node, node.op_type, version))
        else:
            nodes.extend(_moved(node, shapes, blocked.get(node.output[0], 0), _Made(version, graph.initializer)))
    del graph.node[:]
    graph.node.extend(nodes)


def _like_standard(node: NodeProto, operator: str, version: int) -> NodeProto:
    inputs = node.input[: _LIKE_STANDARD[operator]]
    made = helper.make_node(operator, inputs, node.output, name=node.name)
    known = onnx.defs.get_schema(operator, version).attributes
    made.attribute.extend(attribute for attribute in node.attribute if attribute.name in known)
    return made


@dataclass(frozen=True)
class _Made:
    """Makes nodes of an operator set, with their constants: attributes in older versions, inputs in newer ones."""

    version: int
    initializers: MutableSequence[TensorProto]

    def slice(self, source: str, result: str, axis: int, end: int) -> NodeProto:
        if self.version < _SLICE_INPUTS:
            return helper.make_node("Slice", [source], [result], starts=[0], ends=[end], axes=[axis])
        bounds = (("start", 0), ("end", end), ("axis", axis))
        inputs = [self._constant(f"{result}.{name}", [at]) for name, at in bounds]
        return helper.make_node("Slice", [source, *inputs], [result])

    def pad(self, source: str, result: str, pads: Sequence[int]) -> NodeProto:
        if self.version < _PAD_INPUTS:
            return helper.make_node("Pad", [source], [result], pads=pads)
        return helper.make_node("Pad", [source, self._constant(f"{result}.pads", pads)], [result])

    def tile(self, source: str, result: str, repeats: Sequence[int]) -> NodeProto:
        return helper.make_node("Tile", [source, self._constant(f"{result}.repeats", repeats)], [result])

    def _constant(self, name: str, content: Sequence[int]) -> str:
        self.initializers.append(helper.make_tensor(name, TensorProto.INT64, [len(content)], content))
        return name


def _moved(node: NodeProto, shapes: Mapping[str, Any], channels: int, make: _Made) -> list[NodeProto]:
    """ReorderInput fills channels up to whole blocks, ReorderOutput takes them off again; Upsample repeats pixels."""
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    source, result = node.input[0], node.output[0]
    inner = f"{result}.moved"
    last = bool(attributes.get("channels_last"))
    match node.op_type:
        case "ReorderInput":
            turn = helper.make_node("Transpose", [source], [inner], perm=[0, 3, 1, 2])
            given = shapes[source][3 if last else 1].dim_value if source in shapes else channels
            fill = make.pad(inner if last else source, result, [0, 0, 0, 0, 0, max(channels - given, 0), 0, 0])
            return [turn, fill] if last else [fill]
        case "ReorderOutput":
            cut = make.slice(source, inner if last else result, 1, attributes["channels"])
            return [cut, *([helper.make_node("Transpose", [inner], [result], perm=[0, 2, 3, 1])] if last else [])]
        case "Upsample":
            return [make.tile(source, result, attributes["scales"])]
        case _:
            return [node]


def _blocked_channels(graph: GraphProto) -> dict[str, int]:
    """How many channels, in whole blocks, the inputs of blocked convolutions have: what their weights take."""
    weights = {tensor.name: tensor.dims for tensor in graph.initializer}
    found: dict[str, int] = {}
    for node in graph.node:
        if node.domain == _BLOCKED and node.op_type == "Conv" and node.input[1] in weights:
            outputs, inputs = weights[node.input[1]][:2]
            groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
            found[node.input[0]] = outputs if groups > 1 and inputs == 1 else inputs * groups
    return found
