"""Blocked convolutions in standard operators, as far as the sizes of their outputs go.

ONNX Runtime computes convolutions with channels in blocks of 8 or 16 (domain `com.microsoft.nchwc`;
onnxruntime/core/optimizer/nchwc_transformer.cc), and puts reordering operators around them.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence, Sequence
from typing import Any

import onnx
from onnx import GraphProto, NodeProto, TensorProto, helper

_BLOCKED = "com.microsoft.nchwc"
# Operators of that domain with outputs sized like those of the standard ones: how many inputs both have.
_LIKE_STANDARD = {"Conv": 3, "MaxPool": 1, "AveragePool": 1, "GlobalMaxPool": 1, "GlobalAveragePool": 1}


def use_standard_operators(graph: GraphProto, version: int) -> None:
    """Exchange blocked operators for standard ones of operator set `version` with outputs of the same sizes."""
    shapes = {value.name: value.type.tensor_type.shape.dim for value in (*graph.value_info, *graph.input)}
    blocked = _blocked_channels(graph)
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.domain != _BLOCKED:
            nodes.append(node)
        elif node.op_type in _LIKE_STANDARD:
            nodes.append(_like_standard(node, version))
        else:
            nodes.extend(_moved(node, shapes, blocked.get(node.output[0], 0), graph.initializer))
    del graph.node[:]
    graph.node.extend(nodes)


def _like_standard(node: NodeProto, version: int) -> NodeProto:
    inputs = node.input[: _LIKE_STANDARD[node.op_type]]
    made = helper.make_node(node.op_type, inputs, node.output, name=node.name)
    known = onnx.defs.get_schema(node.op_type, version).attributes
    made.attribute.extend(attribute for attribute in node.attribute if attribute.name in known)
    return made


def _moved(
    node: NodeProto, shapes: Mapping[str, Any], channels: int, initializers: MutableSequence[TensorProto]
) -> list[NodeProto]:
    """ReorderInput fills channels up to whole blocks, ReorderOutput takes them off again; Upsample repeats pixels."""
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    source, result = node.input[0], node.output[0]
    inner = f"{result}.moved"

    def constant(suffix: str, content: Sequence[float], kind: int) -> str:
        name = f"{result}.{suffix}"
        initializers.append(helper.make_tensor(name, kind, [len(content)], content))
        return name

    match node.op_type:
        case "ReorderInput":
            last = bool(attributes.get("channels_last"))
            turn = helper.make_node("Transpose", [source], [inner], perm=[0, 3, 1, 2])
            given = shapes[source][3 if last else 1].dim_value if source in shapes else channels
            pads = constant("pads", [0, 0, 0, 0, 0, max(channels - given, 0), 0, 0], TensorProto.INT64)
            fill = helper.make_node("Pad", [inner if last else source, pads], [result])
            return [turn, fill] if last else [fill]
        case "ReorderOutput":
            last = bool(attributes.get("channels_last"))
            bounds = [
                constant(suffix, [at], TensorProto.INT64)
                for suffix, at in (("start", 0), ("end", attributes["channels"]), ("axis", 1))
            ]
            cut = helper.make_node("Slice", [source, *bounds], [inner if last else result])
            return [cut, *([helper.make_node("Transpose", [inner], [result], perm=[0, 2, 3, 1])] if last else [])]
        case "Upsample":
            scales = constant("scales", [float(scale) for scale in attributes["scales"]], TensorProto.FLOAT)
            return [helper.make_node("Resize", [source, "", scales], [result])]
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
