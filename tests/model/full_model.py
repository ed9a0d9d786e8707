"""A valid model in which every message of the ONNX format occurs, and where each one is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from onnx import TensorProto, helper, numpy_helper


def sparse(name: str) -> onnx.SparseTensorProto:
    values = numpy_helper.from_array(np.array([1.5, -2.5], np.float32), name)
    return helper.make_sparse_tensor(values, numpy_helper.from_array(np.array([1, 4]), f"{name}_at"), [2, 3])


def _subgraph(name: str, operator: str) -> onnx.GraphProto:
    output = f"{name}_out"
    graph = helper.make_graph(
        [
            helper.make_node(operator, ["x"], [f"{name}_mid"], name=f"{name}_node", doc_string="in a branch"),
            helper.make_node("Add", [f"{name}_mid", f"{name}_w"], [output]),
        ],
        name,
        [],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(np.ones(3, np.float32), f"{name}_w")],
        value_info=[helper.make_tensor_value_info(f"{name}_mid", TensorProto.FLOAT, ["N", 3])],
    )
    return graph


def _custom_node() -> onnx.NodeProto:
    node = helper.make_node("Custom", ["x"], ["custom"], name="custom", domain="test.custom")
    types = [onnx.TypeProto() for _ in range(6)]
    types[0].tensor_type.elem_type = TensorProto.FLOAT
    types[0].tensor_type.shape.dim.add().dim_param = "N"
    types[1].sequence_type.elem_type.CopyFrom(types[0])
    types[2].map_type.key_type = TensorProto.INT64
    types[2].map_type.value_type.CopyFrom(types[0])
    types[3].optional_type.elem_type.CopyFrom(types[0])
    types[4].sparse_tensor_type.elem_type = TensorProto.FLOAT
    types[5].opaque_type.domain, types[5].opaque_type.name = "test", "thing"
    node.attribute.extend(
        [
            helper.make_attribute("float", 1.5),
            helper.make_attribute("int", 3),
            helper.make_attribute("string", "text"),
            helper.make_attribute("tensor", numpy_helper.from_array(np.arange(3), "t")),
            helper.make_attribute("sparse", sparse("s")),
            helper.make_attribute("floats", [1.5, float("inf")]),
            helper.make_attribute("ints", [1, 2]),
            helper.make_attribute("strings", ["a", b"\xff\x00"]),
            helper.make_attribute("tensors", [numpy_helper.from_array(np.array([b"a", b"b"], object), "u")]),
            helper.make_attribute("graphs", [_subgraph("g0", "Neg"), _subgraph("g1", "Abs")]),
            helper.make_attribute("sparses", [sparse("s0"), sparse("s1")]),
            helper.make_attribute("type", types[0]),
            helper.make_attribute("types", types),
        ]
    )
    configuration = node.device_configurations.add(configuration_id="two", pipeline_stage=1)
    spec = configuration.sharding_spec.add(tensor_name="x", device=[0, 1])
    spec.index_to_device_group_map.add(key=0, value=[0, 1])
    spec.sharded_dim.add(axis=0).simple_sharding.add(dim_value=2, num_shards=2)
    return node


def _function() -> onnx.FunctionProto:
    nodes = [
        helper.make_node("LeakyRelu", ["a"], ["t"], name="leaky"),
        helper.make_node("Add", ["t", "a"], ["b"]),
    ]
    nodes[0].attribute.add(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    function = helper.make_function(
        "test.local",
        "f",
        ["a"],
        ["b"],
        nodes,
        [helper.make_opsetid("", 21)],
        ["shift"],
        [helper.make_attribute("slope", 0.25)],
        overload="v1",
        value_info=[helper.make_tensor_value_info("t", TensorProto.FLOAT, ["N", 3])],
    )
    return function


def build() -> onnx.ModelProto:
    """The model; `test.custom` exists nowhere, the rest runs."""
    text = TensorProto(name="strings", data_type=TensorProto.STRING, dims=[2], string_data=[b"a\0", b"\xff"])
    typed = helper.make_tensor("typed", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    branches = {"then_branch": _subgraph("then", "Neg"), "else_branch": _subgraph("else", "Abs")}
    graph = helper.make_graph(
        [
            helper.make_node("Constant", [], ["flag"], value=numpy_helper.from_array(np.array(True), "flag")),
            helper.make_node("Constant", [], ["dense"], sparse_value=sparse("dense")),
            helper.make_node("Neg", ["x"], ["hidden"], name="neg"),
            helper.make_node("If", ["flag"], ["y"], name="if", **branches),
            helper.make_node("f", ["hidden"], ["called"], name="call", domain="test.local", overload="v1"),
            _custom_node(),
        ],
        "full",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3]),
            helper.make_tensor_value_info("typed", TensorProto.FLOAT, [3]),
        ],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3]),
            helper.make_value_info("custom", helper.make_map_type_proto(TensorProto.STRING, onnx.TypeProto())),
        ],
        [text, typed],
        value_info=[
            helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["N", 3]),
            helper.make_tensor_value_info("nobody", TensorProto.FLOAT, [7]),
        ],
        sparse_initializer=[sparse("loose")],
    )
    annotation = graph.quantization_annotation.add(tensor_name="hidden")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="typed")
    opsets = [helper.make_opsetid(*pair) for pair in (("", 21), ("test.custom", 2), ("test.local", 1))]
    model = helper.make_model(graph, opset_imports=opsets, functions=[_function()], ir_version=11)
    model.metadata_props.add(key="k", value="v")
    training = model.training_info.add()
    training.initialization.CopyFrom(_subgraph("training", "Neg"))
    training.update_binding.add(key="typed", value="training_out")
    model.configuration.add(name="two", num_devices=2, device=["cpu:0", "cpu:1"])
    return model


def attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto:
    return next(item for item in node.attribute if item.name == name)


def sites(model: onnx.ModelProto) -> Iterator[tuple[str, Message]]:
    """Every message of the model with the path that leads to it, training info left out."""
    yield from _walk("model", model)


def _walk(path: str, message: Message) -> Iterator[tuple[str, Message]]:
    yield path, message
    for field, value in message.ListFields():
        if field.message_type is None or field.name == "training_info":
            continue
        items = [(f"{path}.{field.name}", value)]
        if not isinstance(value, Message):
            items = [(f"{path}.{field.name}[{index}]", item) for index, item in enumerate(value)]
        for item_path, item in items:
            yield from _walk(item_path, item)


def message_types(root: Descriptor) -> set[str]:
    """Names of all message types that can occur below `root`."""
    found: set[str] = set()
    waiting = [root]
    while waiting:
        descriptor = waiting.pop()
        if descriptor.full_name not in found:
            found.add(descriptor.full_name)
            waiting += [field.message_type for field in descriptor.fields if field.message_type is not None]
    return found
