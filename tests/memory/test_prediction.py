"""Predictions against what can be counted by hand, and what a run of a model with symbols takes."""

from __future__ import annotations

import sys

import numpy as np
import onnx
import pytest

from ncgopt.errors import Inconclusive
from ncgopt.facts import symbols
from ncgopt.memory import inspect_memory
from ncgopt.memory.look import predicted
from ncgopt.settings import VerifySettings

# x is the caller's; a, b and c are made; d and the output are written while all that they read is there.
DIAMOND = """<ir_version: 8, opset_import: ["" : 17]>
g (float[batch, 1000] x) => (float[batch, 3000] y) <float[1] half = {0.5}>
{ a = Neg(x)  b = Abs(a)  c = Exp(a)  d = Concat<axis = 1>(a, b, c)  y = Mul(d, half) }"""


@pytest.fixture
def diamond(tmp_path):
    path = tmp_path / "diamond.onnx"
    onnx.save(onnx.parser.parse_model(DIAMOND), path)
    return path


def test_the_peak_is_where_the_concat_is_read(diamond):
    prediction, expressions = predicted(diamond, {"batch": 7})
    row = 7 * 4 * 1000
    assert [step.operator for step in prediction.steps] == ["Neg", "Exp", "Abs", "Concat", "Mul"]
    assert [step.bytes // row for step in prediction.steps] == [1, 2, 3, 6, 6]
    assert prediction.peak_bytes == 6 * row
    assert {held.value for held in prediction.alive(3)} == {"a", "b", "c", "d"}
    assert expressions == ("24000*batch",)


@pytest.mark.parametrize("batch", [1, 5, 64])
def test_the_formula_gives_the_number_at_any_binding(diamond, batch):
    prediction, expressions = predicted(diamond, {"batch": batch})
    assert max(symbols.evaluate(text, {"batch": batch}) for text in expressions) == prediction.peak_bytes


# An attention and what follows it: the scores grow with the square of the length, the rest with the length.
BLOCK = """<ir_version: 8, opset_import: ["" : 17]>
g (float[batch, length, 32] x) => (float[batch, length, 32] y) <int64[4] heads = {0, 0, 4, 8}, int64[3] flat = {0, 0, 32}>
{ h = Reshape(x, heads)  q = Transpose<perm = [0, 2, 1, 3]>(h)  k = Transpose<perm = [0, 2, 3, 1]>(h)
  s = MatMul(q, k)  p = Softmax<axis = -1>(s)  c = MatMul(p, q)  t = Transpose<perm = [0, 2, 1, 3]>(c)
  a = Reshape(t, flat)  r = Add(a, x)  u = Concat<axis = 2>(r, r, r, r)  e = Exp(u)
  o, n = Split<axis = 2>(e)  f, g = Split<axis = 2>(o)  y = Add(f, r) }"""


@pytest.mark.parametrize("sizes", [(1, 8), (3, 100), (16, 33)])
def test_formulas_over_two_symbols_give_the_number_at_any_binding(tmp_path, sizes):
    path = tmp_path / "block.onnx"
    onnx.save(onnx.parser.parse_model(BLOCK), path)
    binding = dict(zip(("batch", "length"), sizes, strict=True))
    prediction, expressions = predicted(path, binding)
    assert prediction.unknown == ()
    assert len(expressions) > 1, "one formula serves all lengths: the test shows less than it could"
    assert max(symbols.evaluate(text, binding) for text in expressions) == prediction.peak_bytes


def test_what_a_branch_takes_comes_on_top(tmp_path):
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[1000] x, bool c) => (float[1000] y)
    { a = Neg(x)
      y = If(c) <then_branch = t () => (float[1000] p) { n = Neg(a)  m = Abs(n)  p = Add(n, m) },
                 else_branch = e () => (float[1000] q) { q = Exp(a) }> }"""
    path = tmp_path / "branch.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    prediction, _ = predicted(path, {})
    assert prediction.steps[-1].operator == "If"
    assert prediction.peak_bytes == (1 + 1 + 3) * 4000  # a, y, and the branch that takes more


@pytest.mark.parametrize("opset", [9, 10, 11, 13, 18])
def test_blocked_convolutions_have_sizes_in_every_operator_set(tmp_path, opset):
    weights = "float[16, 3, 3, 3] w, float[16, 16, 1, 1] v"
    text = f"""<ir_version: 8, opset_import: ["" : {opset}]>
    g (float[1, 3, 8, 8] x, {weights}) => (float[1, 16, 8, 8] y)
    {{ a = Conv<pads = [1, 1, 1, 1]>(x, w)  r = Relu(a)  e = Exp(r)  y = Conv(e, v) }}"""
    model = onnx.parser.parse_model(text)
    for name, dims in (("w", (16, 3, 3, 3)), ("v", (16, 16, 1, 1))):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(dims, np.float32), name))
        del model.graph.input[-1]
    onnx.save(model, tmp_path / "m.onnx")
    prediction, _ = predicted(tmp_path / "m.onnx", {})
    assert any("nchwc" in step.operator for step in prediction.steps)
    assert prediction.unknown == ()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measured in /proc")
def test_prediction_and_measurement_agree(diamond, tmp_path):
    np.savez(tmp_path / "feeds.npz", x=np.ones((700, 1000), np.float32))
    found = inspect_memory(diamond, VerifySettings(feeds=(tmp_path / "feeds.npz",)), measure=True)
    assert found.binding == {"batch": 700}
    assert found.measured == pytest.approx(found.prediction.peak_bytes, rel=0.05)


def test_a_model_that_does_not_load(tmp_path):
    path = tmp_path / "odd.onnx"
    onnx.save(
        onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 17, "odd" : 1]> g (float[1] x) => (float[1] y) { y = odd.Op(x) }'),
        path,
    )  # fmt: skip
    with pytest.raises(Inconclusive, match="odd"):
        inspect_memory(path, VerifySettings())
