"""The copy whose weights are rounded differently: what moves, by how much, and that it still is a model."""

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from ncgopt.runtime.session import open_session
from ncgopt.verify import nudge
from ncgopt.verify.nudge import nudged, write_nudged

RNG = np.random.default_rng(3)


def units(before, after):
    """Signed steps on the grid of the dtype; the sign and the size are in the same bits for both."""
    whole = np.dtype(f"i{before.dtype.itemsize}")
    return after.view(whole).astype(np.int64) - before.view(whole).astype(np.int64)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
def test_each_weight_moves_by_at_most_one_unit(dtype):
    weights = (RNG.standard_normal((300, 400)) * 0.1).astype(dtype)
    moved = nudged(weights, np.random.default_rng(0))
    assert (moved.dtype, moved.shape) == (weights.dtype, weights.shape)
    steps, counts = np.unique(units(weights, moved), return_counts=True)
    assert steps.tolist() == [-1, 0, 1]
    assert (counts[0] + counts[2]) / weights.size == pytest.approx(1 / 12, rel=0.05)
    assert counts[0] == pytest.approx(counts[2], rel=0.1)
    assert np.array_equal(moved, nudged(weights, np.random.default_rng(0)))
    assert not np.array_equal(moved, nudged(weights, np.random.default_rng(1)))


def test_what_no_rounding_makes_is_not_made():
    largest = np.finfo(np.float32).max
    odd = np.repeat(np.float32([0.0, -0.0, np.nan, np.inf, -np.inf]), 50)
    assert nudged(odd, RNG).tobytes() == odd.tobytes()
    assert np.isfinite(nudged(np.full(200, largest, np.float32), RNG)).all()


def test_weights_beyond_the_first_piece_move_too(monkeypatch):
    monkeypatch.setattr(nudge, "_CHUNK", 100)
    weights = np.ones(250, np.float32)
    moved = nudged(weights, RNG)
    assert all((moved[part] != 1).any() for part in (slice(0, 100), slice(100, 200), slice(200, 250)))


TEXT = """<ir_version: 9, opset_import: ["" : 18, "local" : 1]>
g (bool c, float[20] x) => (float[20] y, float[20] z, float[20] k, int64[400] n) {
    y = If(c) <then_branch = t () => (float[20] p) { p = Add(x, inner) },
               else_branch = e () => (float[20] q) { q = Mul(x, small) }>
    z = local.Shift(x)
    k = Add(x, large)
    n = Identity(ids)
}
<domain: "local", opset_import: ["" : 18]> Shift (a) => (b) {
    d = Constant <value = float[20] {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20}> ()
    b = Add(a, d)
}"""
WEIGHTS = {
    "small": np.float32([1.5]),
    "large": RNG.standard_normal(20).astype(np.float32),
    "ids": np.arange(400),
    "never": RNG.standard_normal((20, 20)).astype(np.float32),
}
INNER = RNG.standard_normal(20).astype(np.float32)


@pytest.fixture(params=["embedded", "external"])
def source(request, write, tmp_path):
    model = onnx.load(write(TEXT))
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in WEIGHTS.items())
    then = next(a.g for a in model.graph.node[0].attribute if a.name == "then_branch")
    then.initializer.append(numpy_helper.from_array(INNER, "inner"))
    (tmp_path / "here").mkdir()
    path = tmp_path / "here" / "model.onnx"
    external = request.param == "external"
    onnx.save(model, path, save_as_external_data=external, location="w.bin", size_threshold=0)
    return path


def run(path, condition):
    feeds = {"c": np.array(condition), "x": np.zeros(20, np.float32)}
    return open_session(path, optimize=False).run(feeds)


def test_copy_runs_with_moved_weights_and_untouched_numbers(source, tmp_path, monkeypatch):
    monkeypatch.setattr(nudge, "_ONE_IN", 1)  # all of them: each tensor here has only 20
    before = {path: path.read_bytes() for path in source.parent.iterdir()}
    folder = tmp_path / "there"
    folder.mkdir()
    copy = write_nudged(source, folder, seed=0)
    (inner, function, large, ids), (scaled, *_) = run(copy, True), run(copy, False)
    for moved, weights in ((inner, INNER), (function, np.arange(1, 21, dtype=np.float32)), (large, WEIGHTS["large"])):
        assert np.abs(units(weights, moved)).max() == 1
    assert np.array_equal(ids, WEIGHTS["ids"])
    assert not scaled.any()
    initializers = {tensor.name: tensor for tensor in onnx.load(copy).graph.initializer}
    assert numpy_helper.to_array(initializers["small"]) == WEIGHTS["small"]
    assert {path: path.read_bytes() for path in source.parent.iterdir()} == before


def test_model_beyond_the_limit_is_left_alone(source, tmp_path, monkeypatch):
    monkeypatch.setattr(nudge, "_LIMIT", source.stat().st_size + 100)
    copy = write_nudged(source, tmp_path, seed=0)
    assert (copy is None) == ((source.parent / "w.bin").exists())
    monkeypatch.setattr(nudge, "_LIMIT", source.stat().st_size - 1)
    assert write_nudged(source, tmp_path, seed=0) is None
