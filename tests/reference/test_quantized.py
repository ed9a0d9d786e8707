"""Our reference implementations of quantized operators against ONNX Runtime, on every 8-bit integer."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from semantics import run_ort, run_reference

HEADER = '<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>\n'
SCALES = "float s = {0.04}, float t = {0.07}, float u = {0.05}, float v = {0.004}, float h = {0.0078125}"
POINTS = {"uint8": (120, 90, 110), "int8": (-10, 20, 5)}
# The operator on x, w and c, and the shape of the result for an x of [16, 4, 2, 2].
OPERATORS = {
    "QLinearAdd(x, s, a, w, t, b, u, c)": "[16, 4, 2, 2]",
    "QLinearMul(x, s, a, w, t, b, u, c)": "[16, 4, 2, 2]",
    "QLinearSigmoid(x, s, a, v, b)": "[16, 4, 2, 2]",
    "QLinearLeakyRelu<alpha = 0.3>(x, s, a, u, b)": "[16, 4, 2, 2]",
    "QLinearSoftmax<axis = -1, opset = 13>(x, s, a, h, b)": "[16, 4, 2, 2]",
    "QLinearSoftmax<axis = 1, opset = 11>(x, s, a, h, b)": "[16, 4, 2, 2]",
    "QLinearGlobalAveragePool(x, s, a, u, b)": "[16, 4, 1, 1]",
    "QLinearAveragePool<kernel_shape = [2, 2], pads = [1, 0, 0, 1]>(x, s, a, u, b)": "[16, 4, 2, 2]",
    "QLinearAveragePool<kernel_shape = [2, 2], pads = [1, 0, 0, 1], count_include_pad = 1>(x, s, a, u, b)":
        "[16, 4, 2, 2]",
    "QLinearConcat<axis = 0>(u, c, x, s, a, w, t, b, x, u, c)": "[48, 4, 2, 2]",
    "QLinearWhere(k, x, s, a, w, t, b, u, c)": "[16, 4, 2, 2]",
    "QGemm<transA = 1, transB = 1, alpha = 0.5>(m, s, a, n, t, b, d, u, c)": "[8, 3]",
    "QGemm(m, s, a, p, f, e, \"\", u, c)": "[2, 3]",
}  # fmt: skip


@pytest.mark.parametrize("kind", POINTS)
@pytest.mark.parametrize("operator", OPERATORS)
def test_quantized(operator, kind):
    """Within one step, as `tests/semantics.py` compares them where they are exact: here, scales are no powers of two."""
    a, b, c = POINTS[kind]
    text = f"""{HEADER}g ({kind}[16, 4, 2, 2] x, {kind}[16, 4, 2, 2] w, bool[16, 4, 2, 2] k, {kind}[2, 8] m)
    => ({kind}{OPERATORS[operator]} y)
    <{SCALES}, {kind} a = {{{a}}}, {kind} b = {{{b}}}, {kind} c = {{{c}}}, int32[3] d = {{100, -50, 7}},
     {kind}[3, 2] n = {{1, 2, 3, 4, 5, 6}}, float[3] f = {{0.01, 0.02, 0.03}}, {kind}[3] e = {{0, 0, 0}},
     {kind}[8, 3] p = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3}}>
    {{ y = com.microsoft.{operator} }}"""
    model = onnx.parser.parse_model(text)
    every = np.arange(256).astype(kind)
    rng = np.random.default_rng(0)
    feeds = {
        "x": rng.permutation(every).reshape(16, 4, 2, 2),
        "w": rng.permutation(every).reshape(16, 4, 2, 2),
        "k": rng.random((16, 4, 2, 2)) < 0.5,
        "m": every[112:128].reshape(2, 8),
    }
    expected, actual = run_ort(model, feeds)[0].astype(int), run_reference(model, feeds)[0].astype(int)
    assert np.abs(expected - actual).max() <= 1
    assert np.mean(expected != actual) <= 0.02
