"""What is cut out is gone, and nothing else: the cut model computes what the silenced one does."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from prune.small import MLP, RESIDUAL, build, head

from ncgopt import facts
from ncgopt.model.load import from_proto
from ncgopt.model.save import save
from ncgopt.prune.channels.cut import cut, removed_positions, silence
from ncgopt.prune.channels.groups import find_channels
from ncgopt.prune.settings import PruneSettings

SETTINGS = PruneSettings(structured=True)


def int64s(*values):
    return np.array(values, np.int64)


MODELS = {
    "residual": (RESIDUAL, {16}),
    "mlp": (MLP, {32, 24}),
    "depthwise": (
        build(
            head("float[N, 3, 8, 8] x", "float[N, 4, 8, 8] y")
            + "{ a = Conv(x, w1)  b = Conv <group = 16, pads = [1, 1, 1, 1]> (a, w2, b2)  c = Clip(b, low, high)  y = Conv(c, w3) }",
            w1=(16, 3, 1, 1),
            w2=(16, 1, 3, 3),
            b2=(16,),
            low=np.zeros((), np.float32),
            high=np.full((), 6, np.float32),
            w3=(4, 16, 1, 1),
        ),
        {16},
    ),
    "groups": (
        build(
            head("float[N, 3, 8, 8] x", "float[N, 4, 8, 8] y")
            + "{ a = Conv(x, w1)  b = Conv <group = 4, pads = [1, 1, 1, 1]> (a, w2)  c = Relu(b)  y = Conv(c, w3) }",
            w1=(16, 3, 1, 1),
            w2=(32, 4, 3, 3),
            w3=(4, 32, 1, 1),
        ),
        {4},
    ),
    "squeeze and excite": (
        build(
            head("float[N, 3, 8, 8] x", "float[N, 4, 8, 8] y")
            + "{ a = Conv(x, w1)  p = GlobalAveragePool(a)  s = Conv(p, w2, b2)  r = Relu(s)  t = Conv(r, w3)  g = Sigmoid(t)  m = Mul(a, g)  y = Conv(m, w4) }",
            w1=(16, 3, 1, 1),
            w2=(8, 16, 1, 1),
            b2=(8,),
            w3=(16, 8, 1, 1),
            w4=(4, 16, 1, 1),
        ),
        {16, 8},
    ),
    "concat": (
        build(
            head("float[N, 3, 8, 8] x", "float[N, 4, 8, 8] y")
            + "{ a = Conv(x, w1)  b = Conv(x, w2)  c = Concat <axis = 1> (a, b)  d = Relu(c)  y = Conv(d, w3) }",
            w1=(8, 3, 1, 1),
            w2=(12, 3, 1, 1),
            w3=(4, 20, 1, 1),
        ),
        {8, 12},
    ),
    "split": (
        build(
            head("float[N, 3, 8, 8] x", "float[N, 4, 8, 8] y")
            + "{ a = Conv(x, w1)  b, c = Split <axis = 1> (a, parts)  d = Sigmoid(c)  e = Conv(b, w2)  f = Conv(d, w3)  y = Add(e, f) }",
            w1=(20, 3, 1, 1),
            parts=int64s(8, 12),
            w2=(4, 8, 1, 1),
            w3=(4, 12, 1, 1),
        ),
        {8, 12},
    ),
    "split before opset 13": (
        build(
            head("float[N, 3, 8, 8] x", "float[N, 4, 8, 8] y", 11)
            + "{ a = Conv(x, w1)  b, c = Split <axis = 1, split = [8, 12]> (a)  d = Sigmoid(c)  e = Conv(b, w2)  f = Conv(d, w3)  y = Add(e, f) }",
            w1=(20, 3, 1, 1),
            w2=(4, 8, 1, 1),
            w3=(4, 12, 1, 1),
        ),
        {8, 12},
    ),
    "slice": (
        build(
            head("float[N, 3, 8, 8] x", "float[N, 4, 8, 8] y")
            + "{ a = Conv(x, w1)  b = Slice(a, zero, eight, one)  c = Slice(a, eight, end, one)  e = Conv(b, w2)  f = Conv(c, w3)  y = Add(e, f) }",
            w1=(20, 3, 1, 1),
            zero=int64s(0),
            one=int64s(1),
            eight=int64s(8),
            end=int64s(2**62),
            w2=(4, 8, 1, 1),
            w3=(4, 12, 1, 1),
        ),
        {8, 12},
    ),
    "flatten": (
        build(
            head("float[N, 3, 4, 4] x", "float[N, 5] y")
            + "{ a = Conv(x, w1)  b = Relu(a)  c = Reshape(b, target)  y = Gemm(c, w2) }",
            w1=(8, 3, 1, 1),
            target=int64s(-1, 128),
            w2=(128, 5),
        ),
        {8},
    ),
    "transposed convolution": (
        build(
            head("float[N, 3, 4, 4] x", "float[N, 4, 8, 8] y")
            + "{ a = Conv(x, w1)  b = ConvTranspose <strides = [2, 2]> (a, w2, b2)  c = Relu(b)  y = Conv(c, w3) }",
            w1=(8, 3, 1, 1),
            w2=(8, 16, 2, 2),
            b2=(16,),
            w3=(4, 16, 1, 1),
        ),
        {8, 16},
    ),
    "attention": (
        build(
            head("float[N, 6, 16] x", "float[N, 6, 16] y")
            + """{
    q = MatMul(x, wq)  q1 = Reshape(q, heads)  q2 = Transpose <perm = [0, 2, 1, 3]> (q1)
    k = MatMul(x, wk)  k1 = Reshape(k, heads)  k2 = Transpose <perm = [0, 2, 3, 1]> (k1)
    v = MatMul(x, wv)  v0 = Add(v, bv)  v1 = Reshape(v0, heads)  v2 = Transpose <perm = [0, 2, 1, 3]> (v1)
    s = MatMul(q2, k2)  p = Softmax <axis = -1> (s)  o = MatMul(p, v2)
    t = Transpose <perm = [0, 2, 1, 3]> (o)  j = Reshape(t, joined)  z = MatMul(j, wo)
    r = Add(z, x)  n = LayerNormalization(r, scale)
    h = MatMul(n, w1)  g = Relu(h)  y = MatMul(g, w2)
}""",
            wq=(16, 32),
            wk=(16, 32),
            wv=(16, 32),
            bv=(32,),
            heads=int64s(0, 6, 8, 4),
            joined=int64s(0, -1, 32),
            wo=(32, 16),
            scale=np.ones(16, np.float32),
            w1=(16, 48),
            w2=(48, 16),
        ),
        {8, 48},
    ),
}


def load(model):
    found = from_proto(model).model
    facts.survey(found)
    facts.forget()
    return found


def run(path, feeds):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(path, options).run(None, feeds)


def feeds_of(model):
    rng = np.random.default_rng(1)
    shapes = {v.name: [d.dim_value or 2 for d in v.type.tensor_type.shape.dim] for v in model.graph.input}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", [0, 1])
def test_cut_is_silence(name, seed, tmp_path):
    proto, sizes = MODELS[name]
    silent, short = load(proto), load(proto)
    channels = find_channels(silent, SETTINGS)
    assert {len(group.units) for group in channels.groups} == sizes
    rng = np.random.default_rng(seed)
    gone = [u for g in channels.groups for u in rng.choice(g.units, len(g.units) // 2, replace=False).tolist()]
    silence(channels, removed_positions(channels, gone))
    save(silent, tmp_path / "silent.onnx")
    channels = find_channels(short, SETTINGS)
    cut(short, channels, removed_positions(channels, gone))
    save(short, tmp_path / "short.onnx")
    onnx.checker.check_model(tmp_path / "short.onnx", full_check=True)
    feeds = feeds_of(proto)
    expected, found = run(tmp_path / "silent.onnx", feeds)[0], run(tmp_path / "short.onnx", feeds)[0]
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.abs(run(proto.SerializeToString(), feeds)[0] - expected).max() > 1e-3  # something was silenced


LEFT = {
    "normalized": (
        head("float[N, 16] x", "float[N, 4] y")
        + "{ a = MatMul(x, w1)  b = LayerNormalization(a, s)  y = MatMul(b, w2) }",
        {"w1": (16, 32), "s": (32,), "w2": (32, 4)},
        "LayerNormalization",
    ),
    "unknown operator": (
        head("float[N, 16] x", "float[N, 4] y") + "{ a = MatMul(x, w1)  b = CumSum(a, axis)  y = MatMul(b, w2) }",
        {"w1": (16, 32), "axis": np.array(1, np.int64), "w2": (32, 4)},
        "CumSum",
    ),
    "output": (
        head("float[N, 16] x", "float[N, 32] a, float[N, 4] y") + "{ a = MatMul(x, w1)  y = MatMul(a, w2) }",
        {"w1": (16, 32), "w2": (32, 4)},
        "output",
    ),
    "reduced": (
        head("float[N, 16] x", "float[N, 1] y") + "{ a = MatMul(x, w1)  y = ReduceMean <axes = [1]> (a) }",
        {"w1": (16, 32)},
        "ReduceMean",
    ),
    "read by its size": (
        head("float[N, 16] x", "float[N, 4] y, int64[2] s") + "{ a = MatMul(x, w1)  s = Shape(a)  y = MatMul(a, w2) }",
        {"w1": (16, 32), "w2": (32, 4)},
        "Shape",
    ),
    "product of activations": (
        head("float[N, 16] x", "float[N, N] y") + "{ a = MatMul(x, w1)  b = Transpose(a)  y = MatMul(a, b) }",
        {"w1": (16, 32)},
        "MatMul",
    ),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_cannot_be_traced_is_left_and_named(name):
    text, shapes, why = LEFT[name]
    channels = find_channels(load(build(text, **shapes)), SETTINGS)
    assert not channels.groups
    assert any(why in line for line in channels.left), channels.left


def test_what_is_kept_stays():
    for glob in ("Conv_0", "w2"):
        channels = find_channels(load(RESIDUAL), PruneSettings(structured=True, keep=(glob,)))
        assert not channels.groups
        assert "is kept" in channels.left[0]
