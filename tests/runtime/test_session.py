"""Sessions carry every kind of value and complain in one line."""

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import parser

from ncgopt.errors import InputUnreadable, Unavailable
from ncgopt.runtime.session import LoadError, RunError, open_session


def session(body, opset=18, **options):
    text = f'<ir_version: 9, opset_import: ["" : {opset}, "odd" : 1]> {body}'
    return open_session(parser.parse_model(text).SerializeToString(), optimize=False, **options)


def test_plain_tensors():
    out = session("g (float[N] x) => (float[N] y) { y = Neg(x) }").run({"x": np.float32([1, -2])})
    assert out[0].tolist() == [-1, 2]


def test_sequences_and_empty_optionals():
    both = session("g (seq(float[N]) s) => (seq(float[N]) y, int64 n) { y = Identity(s) n = SequenceLength(s) }")
    sequence, length = both.run({"s": [np.float32([1, 2]), np.float32([3])]})
    assert [part.tolist() for part in sequence] == [[1, 2], [3]]
    assert length == 2
    has = session("g (optional(float[2]) x) => (bool y) { y = OptionalHasElement(x) }")
    assert not has.run({"x": None})[0]
    assert has.run({"x": np.float32([1, 2])})[0]


@pytest.mark.parametrize(
    ("onnx_name", "dtype"),
    [
        ("bfloat16", ml_dtypes.bfloat16),
        ("float8e4m3fn", ml_dtypes.float8_e4m3fn),
        ("float8e5m2", ml_dtypes.float8_e5m2),
    ],
)
def test_types_that_numpy_has_not(onnx_name, dtype):
    body = f"g ({onnx_name}[2,2] x, float[1] z) => ({onnx_name}[2,2] y, float[1] w) {{ y = Identity(x) w = Neg(z) }}"
    x = np.array([[1, -2], [0.5, 4]], dtype=dtype)
    y, w = session(body, opset=19).run({"x": x, "z": np.float32([1])})
    assert y.dtype == x.dtype
    assert np.array_equal(y, x)
    assert w.tolist() == [-1]


def test_unknown_operator_is_one_line():
    with pytest.raises(LoadError, match="Strange") as caught:
        session("g (float[N] x) => (float[N] y) { y = odd.Strange(x) }")
    assert "\n" not in str(caught.value)
    assert "ONNXRuntimeError" not in str(caught.value)


def test_missing_kernel_has_its_code():
    with pytest.raises(LoadError) as caught:
        session("g (int4[N] x) => (int4[N] y) { y = Identity(x) }", opset=21)
    assert caught.value.code == "NOT_IMPLEMENTED"


def test_refused_feeds_are_one_line_with_the_numbers():
    with pytest.raises(RunError, match=r"Got: 3 Expected: 2") as caught:
        session("g (float[2] x) => (float[2] y) { y = Neg(x) }").run({"x": np.zeros(3, np.float32)})
    assert caught.value.code == "INVALID_ARGUMENT"
    assert "\n" not in str(caught.value)


def test_path_finds_external_data(tmp_path):
    weights = onnx.numpy_helper.from_array(np.float32([1, 2]), "w")
    model = parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 18]> g (float[2] x) => (float[2] y) { y = Add(x, w) }'
    )
    model.graph.initializer.append(weights)
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert open_session(path, optimize=True).run({"x": np.float32([1, 1])})[0].tolist() == [2, 3]


def test_provider_and_library_that_are_not_there(tmp_path):
    body = "g (float[N] x) => (float[N] y) { y = Neg(x) }"
    with pytest.raises(Unavailable, match="NoSuchExecutionProvider"):
        session(body, providers=["NoSuchExecutionProvider"])
    with pytest.raises(InputUnreadable, match="no such file"):
        session(body, custom_ops=[tmp_path / "missing.so"])
