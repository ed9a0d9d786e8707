"""What is computed without a runtime, because there is only one result, has the bits that ONNX Runtime gives."""

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from ncgopt import facts
from ncgopt.passes._moves import moved

VALUES = {
    "f": np.array([[0.0, -0.0, 1e-45, -1.5], [3.0e38, 0.1, 1 / 3, 7.0]], np.float32),
    "g": np.array([[2.5, -0.0, 1e-45, 1e-38]], np.float32),
    "d": np.array([[0.1, -0.3, 1e-310, 1e300]], np.float64),
    "e": np.array([1 / 3], np.float64),
    "i": np.array([[1, -2, 3, 2**40]], np.int64),
    "j": np.array([[5], [-7]], np.int64),
    "n": np.array([[1, -2, 3, 2**30]], np.int32),
    "b": np.array([[True, False, True, False]]),
    "c": np.array([[True], [False]]),
    "k": np.array([1, -1, 0], np.int64),
    "p": np.array([[0, 1], [1, -1]], np.int64),
    "h": np.array(64, np.int64),
}
COMPUTED = [
    *(f"y = {operator}({a}, {b})" for operator in ("Add", "Sub", "Mul") for a, b in ("fg", "dd", "ij")),
    *(f"y = {operator}(f, g)" for operator in ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual")),
    "y = Equal(i, j)", "y = Equal(b, c)", "y = And(b, c)", "y = Or(b, c)", "y = Xor(b, c)", "y = Not(b)",
    "y = Where(b, f, g)", "y = Where(c, i, j)", "y = Div(e, e)", "y = Sqrt(e)",
    "y = Cast<to = 1>(j)", "y = Cast<to = 7>(n)", "y = Cast<to = 6>(j)",
    "y = Cast<to = 9>(f)", "y = Cast<to = 11>(f)", "y = Cast<to = 1>(b)", "y = Cast<to = 7>(b)",
    "y1 = Cast<to = 1>(h) y = Sqrt(y1)", "z = Squeeze(h) t = Constant<value_int = 2>() "
    "o = Constant<value_int = 3>() y = Range(o, z, t)",
    "y = Gather<axis = 1>(f, k)", "y = Gather<axis = -1>(i, p)", "y = GatherND(f, p)",
    "s = Constant<value_ints = [3, 2, 4]>() y = Expand(f, s)",
]  # fmt: skip
LEFT = [
    "y = Mul(i, i)",  # wraps: 2**80
    "y = Add(n, n2)",  # wraps: 2**31
    "y = Cast<to = 1>(e)",  # is rounded
    "y = Cast<to = 6>(i)",  # does not fit
    "y = Sqrt(g)",  # several at once
    "y = Div(f, g)",
    "y = Div(i, j)",
    "y = Sqrt(m)",  # NaN
    "y = GatherND<batch_dims = 1>(f, q)",
    "y = Add(u, u)",  # a type of which little is known
]
MORE = {
    "n2": np.array([[2**31 - 1]], np.int32),
    "m": np.array([-1.0], np.float32),
    "q": np.array([[1], [2]], np.int64),
    "u": np.array([1.5], np.float16),
}


def model_of(body: str) -> onnx.ModelProto:
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]> g (float[2] x) => (y) {{ {body} }}')
    used = {name for node in proto.graph.node for name in node.input}
    for name, array in {**VALUES, **MORE}.items():
        if name in used:
            proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return proto


def found_for(proto: onnx.ModelProto):
    model = ir.from_proto(proto)
    for node in model.graph:
        node.version = 21
    facts.survey(model)
    facts.forget()
    return moved(model.graph).get(model.graph.outputs[0])


@pytest.mark.parametrize("body", COMPUTED)
def test_the_bits_are_the_runtimes(body: str):
    proto = model_of(body)
    found = found_for(proto)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {port.name: np.zeros(2, np.float32) for port in session.get_inputs()})
    assert found is not None
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert np.ascontiguousarray(found).tobytes() == wanted.tobytes()


@pytest.mark.parametrize("body", LEFT)
def test_where_there_is_a_choice_the_runtime_makes_it(body: str):
    assert found_for(model_of(body)) is None


def test_random_arithmetic_has_the_runtimes_bits():
    draw = np.random.default_rng(0)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    for operator in ("Add", "Sub", "Mul"):
        for kind in (np.float32, np.float64):
            bits = draw.integers(0, 2**32, 4000, dtype=np.uint32).view(np.float32)
            finite = bits[np.isfinite(bits) & (np.abs(bits) < 1e18)].astype(kind)[:2000]
            proto = onnx.parser.parse_model(
                f'<ir_version: 10, opset_import: ["" : 21]> g (float[2] x) => (y) {{ y = {operator}(a, b) }}'
            )
            for name, array in (("a", finite), ("b", finite[::-1])):
                proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
            found = found_for(proto)
            session = onnxruntime.InferenceSession(
                proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            (wanted,) = session.run(None, {port.name: np.zeros(2, np.float32) for port in session.get_inputs()})
            assert found is not None
            assert found.tobytes() == wanted.tobytes()
