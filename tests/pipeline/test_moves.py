"""What is computed without a runtime has the bits that ONNX Runtime gives, special values included."""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from ncgopt import facts, pipeline
from ncgopt.passes import fold_constants
from ncgopt.passes._moves import moved
from ncgopt.settings import Settings

CASES = {
    "identity": "y = Identity(w)",
    "transpose": "y = Transpose<perm = [1, 0, 2]>(w)",
    "transpose by default": "y = Transpose(w)",
    "reshape": "s = Constant<value_ints = [4, -1]>() y = Reshape(w, s)",
    "reshape with a zero": "s = Constant<value_ints = [0, -1]>() y = Reshape(w, s)",
    "squeeze": "a = Constant<value_ints = [-1]>() y = Squeeze(u, a)",
    "squeeze all": "y = Squeeze(u)",
    "unsqueeze": "a = Constant<value_ints = [0, -1]>() y = Unsqueeze(w, a)",
    "flatten": "y = Flatten<axis = 2>(w)",
    "flatten from the end": "y = Flatten<axis = -1>(w)",
    "concat": "y = Concat<axis = -2>(w, w)",
    "a filled tensor": "s = Constant<value_ints = [2, 3]>() y = ConstantOfShape<value = float[1] {-0.0}>(s)",
    "a filled tensor of zeros": "s = Constant<value_ints = [2, 3]>() y = ConstantOfShape(s)",
    "an empty tensor": "s = Constant<value_ints = [2, 0]>() y = ConstantOfShape(s)",
    "slice": "b = Constant<value_ints = [1, -2]>() e = Constant<value_ints = [9, 9]>() a = Constant<value_ints = [1, -1]>() y = Slice(w, b, e, a)",
    "slice without axes": "b = Constant<value_ints = [-9, 1]>() e = Constant<value_ints = [1, -1]>() y = Slice(w, b, e)",
    "slice with steps": "b = Constant<value_ints = [0]>() e = Constant<value_ints = [4611686018427387904]>() a = Constant<value_ints = [2]>() t = Constant<value_ints = [3]>() y = Slice(w, b, e, a, t)",
    "an empty slice": "b = Constant<value_ints = [3]>() e = Constant<value_ints = [1]>() a = Constant<value_ints = [1]>() y = Slice(w, b, e, a)",
    "one after another": "y1 = Transpose(w) y = Flatten(y1)",
}
REFUSED = {
    "backwards": "b = Constant<value_ints = [-1]>() e = Constant<value_ints = [-99]>() a = Constant<value_ints = [1]>() t = Constant<value_ints = [-1]>() y = Slice(w, b, e, a, t)",
    "an input": "y = Transpose(x)",
    "arithmetic": "y = Neg(w)",
}


def _model(body: str) -> onnx.ModelProto:
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]> g (float[2] x) => (y) {{ {body} }}')
    values = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1.5, 3.0e38], np.float32)
    weight = np.resize(values, (2, 4, 5))
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight[:1, :, :, None], "u"))
    return model


def _moved(proto: onnx.ModelProto):
    model = ir.from_proto(proto)
    for node in model.graph:
        node.version = 21
    facts.survey(model)
    facts.forget()
    return moved(model.graph).get(model.graph.outputs[0])


@pytest.mark.parametrize("body", CASES.values(), ids=CASES.keys())
def test_the_bits_are_the_runtimes(body):
    proto = _model(body)
    found = _moved(proto)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {port.name: np.zeros(2, np.float32) for port in session.get_inputs()})
    assert found is not None
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert np.ascontiguousarray(found).tobytes() == wanted.tobytes()


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_plain_move_is_left_to_the_runtime(body):
    assert _moved(_model(body)) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="maps are told by Linux")
@pytest.mark.parametrize("shift", range(2))
def test_folding_lets_go_of_each_weight_that_it_moved(tmp_path, monkeypatch, shift):
    """Weights are views into the file, aligned or not, and no more of them are left than are still to be stored."""
    count, path = 4, tmp_path / "m.onnx"
    body = "".join(f"t{n} = Transpose(w{n}) h{n} = MatMul(x, t{n}) " for n in range(count))
    text = f'<ir_version: 10, opset_import: ["" : 21]> g (float[1, 512] x) => (y) {{ {body} y = Sum(h0, h1, h2, h3) }}'
    model = onnx.parser.parse_model(text)
    model.graph.output[0].type.CopyFrom(onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, [1, 1024]))
    model.producer_name = "x" * shift
    for n in range(count):
        weight = np.random.default_rng(n).standard_normal((1024, 512)).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weight, f"w{n}"))
    onnx.save(model, path)
    store, left = fold_constants._store, []

    def counted(*arguments):
        left.append(sum(str(path) in line for line in Path("/proc/self/maps").read_text().splitlines()))
        store(*arguments)

    monkeypatch.setattr(fold_constants, "_store", counted)
    pipeline.optimize(path, Settings(verify=False), output=tmp_path / "out.onnx")
    assert left == [4, 3, 2, 1]
