"""What ONNX Runtime runs is repaired so that it computes the same; what it refuses is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from ncgopt.errors import ModelInvalid
from ncgopt.model import Contract, from_proto, to_proto

X = np.array([-2.0, 1.0, 3.0], np.float32)
node = helper.make_node


def value(name: str, shape: Sequence[int] | None = (3,)) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def array(name: str, data: object) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(data, np.float32), name)


def constant(name: str, data: object) -> onnx.NodeProto:
    return node("Constant", [], [name], value=array(name, data))


def sparse(name: str) -> onnx.SparseTensorProto:
    return helper.make_sparse_tensor(array(name, [7.0]), numpy_helper.from_array(np.array([1]), ""), [3])


def model(
    nodes: Iterable[onnx.NodeProto],
    *,
    inputs: Sequence[onnx.ValueInfoProto] = (value("x"),),
    outputs: Sequence[onnx.ValueInfoProto] = (value("y"),),
    initializers: Sequence[onnx.TensorProto] = (),
    opsets: Sequence[tuple[str, int]] = (("", 17),),
    functions: Sequence[onnx.FunctionProto] = (),
    ir_version: int = 8,
) -> onnx.ModelProto:
    graph = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), list(initializers))
    imports = [helper.make_opsetid(*pair) for pair in opsets]
    made = helper.make_model(graph, opset_imports=imports, functions=list(functions), ir_version=ir_version)
    return made


def run(proto: onnx.ModelProto) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": X} if session.get_inputs() else {})


def add(*names: str) -> onnx.NodeProto:
    return node("Add", names, ["y"])


def uses_later_node() -> onnx.ModelProto:
    branches = {
        name: helper.make_graph([node("Neg", ["later"], [name])], name, [], [value(name, None)])
        for name in ("then_branch", "else_branch")
    }
    flag = node("Constant", [], ["flag"], value=numpy_helper.from_array(np.array(True), "flag"))
    return model([flag, node("If", ["flag"], ["y"], **branches), node("Abs", ["x"], ["later"])])


def with_sparse(dense: Sequence[float]) -> onnx.ModelProto:
    proto = model([add("x", "k")], initializers=[array("k", dense)])
    proto.graph.sparse_initializer.add().CopyFrom(sparse("k"))
    return proto


SUM = node("ReduceSum", ["x"], ["y"], axes=[0], keepdims=0)  # `axes` is an attribute up to operator set 12
REPAIRED = {
    "unsorted-nodes": model([node("Abs", ["b"], ["y"]), node("Neg", ["a"], ["b"]), node("Exp", ["x"], ["a"])]),
    "unsorted-nodes subgraph": uses_later_node(),
    "repeated-constant same": model([constant("k", 1), constant("k", 1), add("x", "k")]),
    "repeated-constant other value": model([constant("k", 1), constant("k", 2), constant("k", 3), add("x", "k")]),
    "repeated-constant+unsorted-nodes behind its use": model([constant("k", 1), add("x", "k"), constant("k", 2)]),
    "repeated-initializer same": model([add("x", "k")], initializers=[array("k", 1), array("k", 1)]),
    "repeated-initializer other value": model([add("x", "k")], initializers=[array("k", v) for v in (1, 2, 3)]),
    "repeated-initializer constant": model([constant("k", 1), add("x", "k")], initializers=[array("k", 5)]),
    "repeated-initializer sparse": with_sparse([1, 2, 3]),
    "unnamed-initializer": model([node("Neg", ["x"], ["y"])], initializers=[array("", 3)]),
    "repeated-opset-import same": model([node("Neg", ["x"], ["y"])], opsets=[("", 17), ("", 17)]),
    "repeated-opset-import last counts": model([SUM], outputs=[value("y", ())], opsets=[("", 17), ("", 11)]),
    "repeated-opset-import spelling": model([SUM], outputs=[value("y", ())], opsets=[("", 17), ("ai.onnx", 11)]),
    "missing-opset-import contrib": model([node("Gelu", ["x"], ["y"], domain="com.microsoft")]),
    "missing-opset-import default": model(
        [node("Gelu", ["x"], ["z"], domain="com.microsoft"), node("Neg", ["z"], ["y"])], opsets=[("com.microsoft", 1)]
    ),
}


@pytest.mark.parametrize("name", REPAIRED)
def test_repaired(name: str) -> None:
    proto = REPAIRED[name]
    before = proto.SerializeToString()
    loaded = from_proto(proto)
    written = to_proto(loaded.model)
    assert {repair.kind for repair in loaded.repairs} == set(name.split()[0].split("+"))
    assert all(repair.detail and "\n" not in repair.detail for repair in loaded.repairs)
    assert proto.SerializeToString() == before
    onnx.checker.check_model(written)
    for expected, found in zip(run(proto), run(written), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert from_proto(written).repairs == []


def function(nodes: Sequence[onnx.NodeProto], name: str = "f") -> onnx.FunctionProto:
    return helper.make_function("test", name, ["a"], ["b"], list(nodes), [helper.make_opsetid("", 17)])


def branch(nodes: Sequence[onnx.NodeProto], output: str = "o") -> onnx.ModelProto:
    inner = helper.make_graph(list(nodes), "then", [], [value(output, None)])
    other = helper.make_graph([node("Abs", ["x"], ["e"])], "else", [], [value("e", None)])
    flag = node("Constant", [], ["flag"], value=numpy_helper.from_array(np.array(True), "flag"))
    return model([flag, node("If", ["flag"], ["y"], then_branch=inner, else_branch=other)])


def twice(attribute: str) -> onnx.NodeProto:
    made = node("LeakyRelu", ["x"], ["y"], alpha=0.5)
    made.attribute.append(helper.make_attribute(attribute, 0.25))
    return made


CALL = node("f", ["x"], ["y"], domain="test")
FUNCTION = {"opsets": [("", 17), ("test", 1)]}
REFUSED = {
    "cycle": (model([node("Abs", ["b"], ["a"]), node("Neg", ["a"], ["b"]), add("a", "x")]), "cycle"),
    "node defined twice": (model([node("Neg", ["x"], ["y"]), node("Neg", ["x"], ["y"])]), "'y' is defined twice"),
    "node and initializer": (
        model([node("Neg", ["x"], ["k"]), add("x", "k")], initializers=[array("k", [1, 2, 3])]),
        "'k' is defined twice",
    ),
    "initializers of two shapes": (
        model([add("x", "k")], initializers=[array("k", 1), array("k", [1])]),
        "'k' is defined twice, with different shapes",
    ),
    "undefined input": (model([node("Neg", ["q"], ["y"], name="n")]), "node 'n' (Neg) reads 'q'"),
    "undefined output": (model([node("Neg", ["x"], ["z"])]), "output 'y' is not produced"),
    "input twice": (model([node("Neg", ["x"], ["y"])], inputs=[value("x"), value("x")]), "same name"),
    "attribute twice": (model([twice("alpha")]), "same attribute twice"),
    "no operator set": (model([node("Neg", ["x"], ["y"])], opsets=[("", 17)]), "no operator set"),
    "unsorted function": (
        model([CALL], functions=[function([node("Neg", ["t"], ["b"]), node("Abs", ["a"], ["t"])])], **FUNCTION),
        "not sorted",
    ),
    "function defined twice": (
        model([CALL], functions=[function([node("Neg", ["a"], ["b"])])] * 2, **FUNCTION),
        "two local functions",
    ),
    "function without its output": (
        model([CALL], functions=[function([node("Neg", ["a"], ["t"])])], **FUNCTION),
        "output 'b' is not produced by any node in function test::f",
    ),
    "unsorted subgraph": (branch([node("Neg", ["i"], ["o"]), node("Abs", ["x"], ["i"])]), "not sorted"),
    "subgraph output from outside": (branch([], "x"), "output 'x' is not produced"),
    "repeated constant in a subgraph": (branch([constant("o", 1), constant("o", 1)]), "'o' is defined twice"),
    "empty graph": (model([], inputs=[], outputs=[]), "empty"),
}
REFUSED["no operator set"][0].ClearField("opset_import")


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    proto, reason = REFUSED[name]
    with pytest.raises(ModelInvalid) as caught:
        from_proto(proto)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    if name != "empty graph":  # ONNX Runtime runs it, to no end
        with pytest.raises(Exception, match="ONNXRuntimeError"):
            run(proto)


def scrambled(proto: onnx.ModelProto, text: str) -> onnx.ModelProto:
    """The model with bytes that are no UTF-8 for every occurrence of `text`."""
    return onnx.ModelProto.FromString(proto.SerializeToString().replace(text.encode(), b"\xff" * len(text)))


def test_texts_that_are_no_utf8() -> None:
    inner = [node("Neg", ["x"], ["QQQ"], name="QQQ", doc_string="QQQ"), node("Abs", ["QQQ"], ["y"], domain="ai.onnx")]
    proto = scrambled(model(inner), "QQQ")
    loaded = from_proto(proto)
    written = to_proto(loaded.model)
    assert {repair.kind for repair in loaded.repairs} == {"text-not-utf8"}
    assert written.graph.node[0].doc_string == r"\xff\xff\xff"
    assert [*written.graph.node[1].input] == [*written.graph.node[0].output]
    np.testing.assert_array_equal(run(written)[0], run(proto)[0])
    assert from_proto(written).repairs == []


def test_a_name_of_the_interface_that_is_no_utf8() -> None:
    proto = model([node("Neg", ["x"], ["QQQ"])], outputs=[value("QQQ")])
    with pytest.raises(ModelInvalid, match="the name of output 0 is no UTF-8 text"):
        from_proto(scrambled(proto, "QQQ"))


def test_sorting_is_stable() -> None:
    """Nodes move no further than their inputs demand."""
    names = ["c", "a", "b"]
    proto = model(
        [node("Neg", ["late"], ["y"]), *(node("Abs", ["x"], [n]) for n in names), node("Exp", ["x"], ["late"])]
    )
    loaded = from_proto(proto)
    assert [n.outputs[0].name for n in loaded.model.graph] == [*names, "late", "y"]


def test_initializers_are_no_inputs_below_ir_version_4() -> None:
    """ONNX Runtime treats them as constants; the format wants them listed among the inputs."""
    inputs = [value("k", ()), value("x"), value("w")]
    proto = model(
        [node("Sum", ["x", "k", "w"], ["y"])], inputs=inputs, initializers=[array("k", 1), array("w", [1, 2, 3])]
    )
    proto.ir_version = 3
    loaded = from_proto(proto).model
    assert [item.name for item in loaded.graph.inputs] == ["x"]
    assert not loaded.graph.initializers["k"].is_graph_input()
    assert Contract.of(loaded).defaults == ()
    assert to_proto(loaded) == proto

    del loaded.graph.initializers["w"]
    extra = from_proto(model([add("x", "new")], initializers=[array("new", [4, 5])])).model.graph.initializers.pop(
        "new"
    )
    loaded.graph.initializers.add(extra)
    assert [item.name for item in to_proto(loaded).graph.input] == ["k", "x", "new"]
    assert to_proto(loaded).graph.input[2] == value("new", (2,))


def test_initializers_stay_unlisted_where_ir_version_3_had_them_so() -> None:
    proto = model([add("x", "k")], initializers=[array("k", 1)], ir_version=3)
    assert to_proto(from_proto(proto).model) == proto


def test_operator_set_versions_reach_every_node() -> None:
    proto = model(
        [node("f", ["x"], ["t"], domain="test"), node("Neg", ["t"], ["y"], domain="ai.onnx")],
        functions=[function([node("Abs", ["a"], ["b"])])],
        opsets=[("ai.onnx", 18), ("test", 3)],
    )
    loaded = from_proto(proto).model
    assert [n.version for n in loaded.graph] == [3, 18]
    assert [n.version for n in loaded.functions["test", "f", ""]] == [17]
    assert [n.domain for n in loaded.graph] == ["test", ""]
    assert to_proto(loaded) == proto
    branches = from_proto(branch([node("Neg", ["x"], ["o"])])).model.graph[1].attributes
    assert [n.version for n in branches["then_branch"].as_graph()] == [17]


@pytest.mark.parametrize("size", [-1, ""])
def test_dimensions_that_mean_unknown(size: int | str) -> None:
    """A negative size must not look like a size, nor two empty names like the same dimension."""
    proto = model([node("Neg", ["x"], ["y"])], inputs=[value("x", (size, 3))])
    loaded = from_proto(proto).model
    shape = loaded.graph.inputs[0].shape
    assert shape is not None
    assert shape.dims[0].value is None
    assert to_proto(loaded) == proto
