"""Which parts of two models are measured against each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from ncgopt.measure.latency import inputs_of
from ncgopt.measure.windows import Request, measure_windows
from ncgopt.settings import VerifySettings

WEIGHTS = {name: np.eye(32, dtype=np.float32) for name in ("u", "v", "w")}
WIDE = np.concatenate([WEIGHTS[name] for name in ("u", "v", "w")], axis=1)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _save(path: Path, body: str, outputs: str, **weights: np.ndarray) -> Path:
    text = f'<ir_version: 9, opset_import: ["" : 17]> g (float[n,32] x) => ({outputs}) {{ {body} }}'
    model = onnx.parser.parse_model(text)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(a, name) for name, a in weights.items())
    onnx.save(model, path)
    return path


def _gains(original: Path, result: Path, *places: str, seconds: float = 20.0):
    settings = VerifySettings(bind={"n": 16})
    survey, case = inputs_of(original, settings)
    return measure_windows(original, result, Request(survey, case, 1, frozenset(places), seconds), settings)


def test_three_products_that_became_one_are_three_on_the_other_side(tmp_path):
    outputs = "float[n,32] a, float[n,32] b, float[n,32] c"
    apart = _save(tmp_path / "a.onnx", "a = MatMul(x, u) b = MatMul(x, v) c = MatMul(x, w)", outputs, **WEIGHTS)
    joined = "t = MatMul(x, k) a, b, c = Split<axis = 1>(t)"
    together = _save(tmp_path / "b.onnx", joined, outputs, k=WIDE)
    gains = _gains(apart, together, "a")
    assert [(gain.nodes, gain.places) for gain in gains] == [((3, 2), ("a",))]
    assert gains[0].ratio is not None
    assert not gains[0].trades


def test_what_several_parts_share_belongs_to_none(tmp_path):
    outputs = "float[n,32] a, float[n,32] b"
    before = "a = Add(x, m) b = Mul(x, m)"
    after = "s = Shape(x) e = Expand(m, s) a = Add(x, e) b = Mul(x, e)"
    mask = np.ones((1, 32), np.float32)
    original = _save(tmp_path / "a.onnx", before, outputs, m=mask)
    result = _save(tmp_path / "b.onnx", after, outputs, m=mask)
    assert [gain.nodes for gain in _gains(original, result, "a", "b")] == [(1, 1), (1, 1)]


def test_only_parts_with_a_rewrite_in_question_run(tmp_path):
    original = _save(tmp_path / "a.onnx", "a = Neg(x) b = Sin(a) y = Neg(b)", "float[n,32] y")
    result = _save(tmp_path / "b.onnx", "a = Mul(x, m) b = Sin(a) y = Mul(b, m)", "float[n,32] y", m=-np.ones(1, "f"))
    gains = _gains(original, result, "y")
    assert [(gain.target, gain.places) for gain in gains] == [("y", ("y",))]
    assert gains[0].trades  # a constant came in


def test_time_that_is_up_leaves_the_rest_unknown(tmp_path):
    original = _save(tmp_path / "a.onnx", "y = Neg(x)", "float[n,32] y")
    result = _save(tmp_path / "b.onnx", "y = Mul(x, m)", "float[n,32] y", m=-np.ones(1, "f"))
    gain = _gains(original, result, "y", seconds=-1.0)[0]
    assert (gain.ratio, gain.reason, gain.pays) == (None, "out of time", True)
