"""What was changed in memory is written; everything else stays as it was read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from full_model import build, sites
from onnx import TensorProto, helper

from ncgopt.model import from_proto, pinned_names, stats, to_proto

UNKNOWN = bytes.fromhex("ca3e03616263")  # field 1001: bytes


def crowded() -> onnx.ModelProto:
    """The sample model with things that memory cannot hold in every message: see `test_every_field`."""
    proto = build()
    for _, message in sites(proto):
        message.MergeFromString(UNKNOWN)
        if "metadata_props" in message.DESCRIPTOR.fields_by_name:
            for key in ("z", "a", "z"):
                message.metadata_props.add(key=key, value=f"{key}{len(message.metadata_props)}")
    return proto


def node_of(graph: ir.Graph, name: str) -> ir.Node:
    return next(node for node in graph if node.name == name)


def set_shape(model: ir.Model, size: int) -> None:
    for node in model.graph:
        for value in node.outputs:
            if value.name == "hidden":
                value.shape = ir.Shape([size, 3])


def set_entry(entries: dict[str, str], key: str, value: str) -> None:
    entries[key] = value


Pair = tuple[Callable[[ir.Model], object], Callable[[onnx.ModelProto], object]]
CHANGES: dict[str, Pair] = {
    "text of a node": (
        lambda m: setattr(node_of(m.graph, "neg"), "doc_string", "new"),
        lambda p: setattr(p.graph.node[2], "doc_string", "new"),
    ),
    "operator of a node": (
        lambda m: setattr(node_of(m.graph, "neg"), "op_type", "Abs"),
        lambda p: setattr(p.graph.node[2], "op_type", "Abs"),
    ),
    "input of a node": (
        lambda m: node_of(m.graph, "call").replace_input_with(0, m.graph.inputs[0]),
        lambda p: p.graph.node[4].input.__setitem__(0, "x"),
    ),
    "new metadata of a node": (
        lambda m: set_entry(node_of(m.graph, "neg").metadata_props, "new", "entry"),
        lambda p: p.graph.node[2].metadata_props.add(key="new", value="entry"),
    ),
    "node of a function": (
        lambda m: setattr(m.functions["test.local", "f", "v1"][0], "doc_string", "new"),
        lambda p: setattr(p.functions[0].node[0], "doc_string", "new"),
    ),
    "text of the graph": (
        lambda m: setattr(m.graph, "doc_string", "new"),
        lambda p: setattr(p.graph, "doc_string", "new"),
    ),
    "producer": (lambda m: setattr(m, "producer_name", "new"), lambda p: setattr(p, "producer_name", "new")),
    "operator set": (
        lambda m: set_entry(m.opset_imports, "", 22),
        lambda p: setattr(p.opset_import[0], "version", 22),
    ),
    "one dimension of a value": (
        lambda m: set_shape(m, 5),
        lambda p: setattr(p.graph.value_info[0].type.tensor_type.shape.dim[0], "dim_value", 5),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_change(name: str) -> None:
    in_memory, in_message = CHANGES[name]
    expected = crowded()
    in_message(expected)
    model = from_proto(crowded()).model
    in_memory(model)
    assert to_proto(model).SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("z", "new", [("k", "v"), ("a", "a2"), ("z", "new")]),  # repeated keys mean nothing once they change
        ("a", "new", [("k", "v"), ("z", "z1"), ("z", "z3"), ("a", "new")]),
        ("z", None, [("k", "v"), ("a", "a2")]),
    ],
)
def test_repeated_metadata_keys(key: str, value: str | None, expected: list[tuple[str, str]]) -> None:
    model = from_proto(crowded()).model
    if value is None:
        del model.metadata_props[key]
    else:
        model.metadata_props[key] = value
    assert [(entry.key, entry.value) for entry in to_proto(model).metadata_props] == expected


def test_an_attribute_that_is_replaced_brings_nothing_old() -> None:
    model = from_proto(crowded()).model
    node = node_of(model.graph, "custom")
    node.attributes["int"] = ir.AttrInt64("int", 9)
    written = {item.name: item for item in to_proto(model).graph.node[5].attribute}
    assert written["int"] == helper.make_attribute("int", 9)
    assert written["ints"].SerializeToString().endswith(UNKNOWN)


def test_a_sparse_constant_that_becomes_an_initializer_stays_sparse() -> None:
    model = from_proto(build()).model
    constant = model.graph[1]
    tensor = constant.attributes["value"].as_tensor()
    np.testing.assert_array_equal(tensor.numpy(), [[0, 1.5, 0], [0, -2.5, 0]])
    model.graph.remove(constant)
    model.graph.register_initializer(ir.Value(name="lifted", const_value=tensor))
    written = to_proto(model).graph
    assert [item.values.name for item in written.sparse_initializer] == ["loose", "lifted"]
    assert [item.name for item in written.initializer] == ["strings", "typed"]


def test_a_type_that_memory_does_not_know_follows_its_value() -> None:
    proto = build()
    model = from_proto(proto).model
    value = node_of(model.graph, "custom").outputs[0]
    twin = ir.node("Identity", [value]).outputs[0]
    twin.type, twin.name = value.type, "twin"
    model.graph.append(twin.producer())
    model.graph.outputs.append(twin)
    assert to_proto(model).graph.output[2].type == proto.graph.output[1].type


class TestValueInfo:
    def written(self, change: Callable[[ir.Model], object]) -> list[str]:
        model = from_proto(build()).model
        change(model)
        return [info.name for info in to_proto(model).graph.value_info]

    def test_none_is_added(self) -> None:
        def grow(model: ir.Model) -> None:
            made = ir.node("Neg", [model.graph.inputs[0]])
            made.outputs[0].name, made.outputs[0].type = "made", ir.TensorType(ir.DataType.FLOAT)
            made.outputs[0].shape = ir.Shape([3])
            model.graph.append(made)
            model.graph.register_initializer(ir.Value(name="w", const_value=ir.tensor(np.ones(3, np.float32))))

        assert self.written(grow) == ["hidden", "nobody"]

    def test_that_of_a_value_that_is_gone_goes(self) -> None:
        def drop(model: ir.Model) -> None:
            model.graph.remove(node_of(model.graph, "call"))
            model.graph.remove(node_of(model.graph, "neg"))

        assert self.written(drop) == ["nobody"]

    def test_that_of_no_value_goes_once_the_name_means_something(self) -> None:
        def reuse(model: ir.Model) -> None:
            model.graph.register_initializer(ir.Value(name="nobody", const_value=ir.tensor(np.ones(3, np.float32))))

        assert self.written(reuse) == ["hidden"]

    def test_that_of_another_value_of_that_name_is_its_own(self) -> None:
        """A rewrite may make a value of an old name whose type it does not know, or that is another one."""
        model = from_proto(build()).model
        old = node_of(model.graph, "neg")
        made = ir.node("Cast", [model.graph.inputs[0]], {"to": TensorProto.DOUBLE})
        made.outputs[0].name, made.outputs[0].type = "hidden", ir.TensorType(ir.DataType.DOUBLE)
        model.graph.insert_before(old, made)
        node_of(model.graph, "call").replace_input_with(0, made.outputs[0])
        model.graph.remove(old)
        info = to_proto(model).graph.value_info[0]
        assert (info.name, info.type.tensor_type.elem_type) == ("hidden", TensorProto.DOUBLE)
        made.outputs[0].type = None
        assert [info.name for info in to_proto(model).graph.value_info] == ["nobody"]


def test_names_that_other_parts_of_the_file_mention() -> None:
    """Bindings and graphs of the training info, and the parameters of a quantization annotation."""
    assert pinned_names(from_proto(build()).model) == {"typed", "training_out", "x", "training_mid", "training_w"}


def test_size() -> None:
    """Initializers: 2 strings, 3 floats, 2 of 6 floats stored with their places; the branches' and graphs' are 3 floats."""
    found = stats(from_proto(build()).model, 1234)
    assert found.file_bytes == 1234
    assert found.initializers == 3 + 4
    assert (found.nodes, found.constants) == (4 + 2 * 4 + 2, 2)
    assert found.operators["test.local::f"] == 1
    assert next(iter(found.operators)) == "Add"
    assert found.parameters == (2 + 3 + 6) + 4 * 3 + (1 + 6)
    sparse = 2 * 4 + 2 * 8
    assert found.weight_bytes == (3 + 12 + sparse) + 4 * 12 + (1 + sparse)
