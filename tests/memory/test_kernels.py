"""What the tables of kernels say is what a run takes, operator by operator."""

from __future__ import annotations

import sys

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from ncgopt.memory.look import predicted
from ncgopt.runtime import Worker
from ncgopt.settings import VerifySettings
from ncgopt.verify.cases import Case

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measured in /proc")

SIDE = 2048
BYTES = 4 * SIDE * SIDE
WITHIN = 0.05

IN_PLACE = ("Relu", "LeakyRelu", "ThresholdedRelu", "Elu", "Selu", "Celu", "Clip", "HardSigmoid", "Shrink", "Sigmoid",
            "Tanh", "Softplus", "Softsign", "Softmax", "LogSoftmax", "Trilu", "Identity", "Flatten")  # fmt: skip
ANEW = ("Abs", "Neg", "Sqrt", "Exp", "Erf", "Floor", "Hardmax", "CumSum")


@pytest.fixture(scope="module")
def worker():
    with Worker() as started:
        yield started


def model(nodes: list[onnx.NodeProto], tensors: tuple[onnx.TensorProto, ...] = (), opset: int = 18) -> onnx.ModelProto:
    """`a` and `b` are made inside, so that nothing protects their buffers; `y` is read once."""
    size = numpy_helper.from_array(np.array([SIDE, SIDE]), "size")
    sources = [(source, name) for source, name in (("x", "a"), ("z", "b")) if any(name in node.input for node in nodes)]
    made = [helper.make_node("Expand", [source, "size"], [name]) for source, name in sources]
    inputs = [helper.make_tensor_value_info(source, 1, [1]) for source, _ in sources]
    last = helper.make_node("ReduceMax", ["y"], ["o"], keepdims=0)
    graph = helper.make_graph(
        [*made, *nodes, last], "g", inputs,
        [helper.make_tensor_value_info("o", 1, None)], [size, *tensors],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def check(worker: Worker, tmp_path, made: onnx.ModelProto, times: float) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(made, path)
    prediction, _ = predicted(path, {})
    survey = worker.call("ncgopt.verify.survey:survey", path)
    took = worker.call("ncgopt.memory.measured:peak_of_a_run", path, survey, Case(), VerifySettings())
    assert prediction.unknown == ()
    assert prediction.peak_bytes == pytest.approx(times * BYTES, rel=WITHIN)
    assert took == pytest.approx(times * BYTES, rel=WITHIN)


@pytest.mark.parametrize("operator", [*IN_PLACE, *ANEW])
def test_one_input(worker, tmp_path, operator):
    axis = (numpy_helper.from_array(np.array(0), "axis"),) if operator == "CumSum" else ()
    node = helper.make_node(operator, ["a", *(one.name for one in axis)], ["y"])
    check(worker, tmp_path, model([node], axis), 1 if operator in IN_PLACE else 2)


@pytest.mark.parametrize("operator", ["Add", "Mul", "Div", "Max", "PRelu"])
def test_two_inputs(worker, tmp_path, operator):
    check(worker, tmp_path, model([helper.make_node(operator, ["a", "b"], ["y"])]), 3)


def test_where_takes_two_of_its_own(worker, tmp_path):
    nodes = [helper.make_node("Less", ["a", "b"], ["c"]), helper.make_node("Where", ["c", "a", "b"], ["y"])]
    check(worker, tmp_path, model(nodes), 5.25)


def test_a_bias_of_gelu_takes_one_of_its_own(worker, tmp_path):
    bias = numpy_helper.from_array(np.ones(SIDE, np.float32), "bias")
    check(
        worker,
        tmp_path,
        model([helper.make_node("FastGelu", ["a", "bias"], ["y"], domain="com.microsoft")], (bias,)),
        3,
    )


def test_a_type_of_the_same_width_is_cast_in_place(worker, tmp_path):
    nodes = [helper.make_node("Cast", ["a"], ["i"], to=6), helper.make_node("Cast", ["i"], ["y"], to=1)]
    check(worker, tmp_path, model(nodes), 1)


def test_nothing_is_written_over_that_others_need(worker, tmp_path):
    nodes = [helper.make_node("Relu", ["a"], ["r"]), helper.make_node("Sub", ["a", "r"], ["y"])]
    check(worker, tmp_path, model(nodes), 3)


def test_a_buffer_that_is_free_is_taken_again(worker, tmp_path):
    nodes = [helper.make_node(op, [x], [y]) for op, x, y in (("Neg", "a", "n"), ("Abs", "n", "p"), ("Exp", "p", "y"))]
    check(worker, tmp_path, model(nodes), 2)
