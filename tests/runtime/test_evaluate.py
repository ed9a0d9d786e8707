"""Constant evaluation: ORT, then the reference, then a typed refusal."""

import ml_dtypes
import numpy as np
import pytest
from onnx import parser

from ncgopt.runtime.evaluate import CannotEvaluate, evaluate


def model(body, opset=21):
    text = f'<ir_version: 10, opset_import: ["" : {opset}, "odd" : 1]> {body}'
    return parser.parse_model(text).SerializeToString()


def test_ort_computes():
    out = evaluate(model("g (float[2] x) => (float[2] y) { y = Neg(x) }"), {"x": np.float32([1, -2])})
    assert out[0].tolist() == [-1, 2]


def test_bfloat16_survives():
    x = np.array([1, -2.5], dtype=ml_dtypes.bfloat16)
    (y,) = evaluate(model("g (bfloat16[2] x) => (bfloat16[2] y) { y = Identity(x) }"), {"x": x})
    assert y.dtype == x.dtype
    assert np.array_equal(y, x)


def test_reference_steps_in_where_ort_has_no_kernel():
    body = "g (double[1,1,4] x) => (double[1,1,2] y) { y = AveragePool <kernel_shape = [2], strides = [2]> (x) }"
    (y,) = evaluate(model(body, opset=19), {"x": np.float64([[[1, 3, 5, 9]]])})
    assert y.dtype == np.float64
    assert y.tolist() == [[[2, 7]]]


def test_four_bit_types_survive():
    x = np.array([1, -2, 7], dtype=ml_dtypes.int4)
    (y,) = evaluate(model("g (int4[3] x) => (int4[3] y) { y = Identity(x) }"), {"x": x})
    assert y.dtype == x.dtype
    assert np.array_equal(y, x)


@pytest.mark.parametrize(
    "body",
    [
        "g (float[N] x) => (float[N] y) { y = odd.Strange(x) }",
        "g (float[2] x) => (float[3] y) { s = Constant <value_ints = [3]> () y = Reshape(x, s) }",
    ],
)
def test_refusal_is_typed(body):
    with pytest.raises(CannotEvaluate):
        evaluate(model(body), {"x": np.float32([1, 2])})
