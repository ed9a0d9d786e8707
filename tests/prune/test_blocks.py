"""Whole residual blocks."""

import json

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from prune.small import RESIDUAL, build, head

from ncgopt import facts
from ncgopt import model as models
from ncgopt.errors import ExitCode, Usage
from ncgopt.prune.run import prune
from ncgopt.prune.settings import PruneSettings
from ncgopt.prune.structured.blocks import find_blocks, remove
from ncgopt_cli.main import invoke

SETTINGS = PruneSettings(structured=True, unit="blocks")
# Three blocks, of which the second does least; as pre-norm transformers have them.
THREE = build(
    head("float[N, 8] x", "float[N, 3] y")
    + """{
    a1 = MatMul(x, w1)  r1 = Relu(a1)  b1 = MatMul(r1, v1)  s1 = Add(b1, x)
    a2 = MatMul(s1, w2)  r2 = Relu(a2)  b2 = MatMul(r2, v2)  s2 = Add(s1, b2)
    a3 = MatMul(s2, w3)  r3 = Relu(a3)  b3 = MatMul(r3, v3)  s3 = Add(b3, s2)
    y = MatMul(s3, h)
    }""",
    w1=(8, 16), v1=(16, 8), w2=(8, 16), v2=(16, 8), w3=(8, 16), v3=(16, 8), h=(8, 3),
)  # fmt: skip
for tensor in THREE.graph.initializer:
    if tensor.name == "v2":
        tensor.CopyFrom(onnx.numpy_helper.from_array(0.05 * onnx.numpy_helper.to_array(tensor), "v2"))


def load(proto, tmp_path):
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    model = models.load(tmp_path / "m.onnx").model
    facts.survey(model)
    return model


def test_what_is_a_block(tmp_path):
    found, left = find_blocks(load(THREE, tmp_path), SETTINGS)
    assert [(one.skip.name, one.weights) for one in found] == [("x", 256), ("s1", 256), ("s2", 256)]
    assert not left


NOT = {
    "of another shape": "{ a = MatMul(x, w)  b = ReduceMean <axes = [1]> (a)  s = Add(b, x)  y = MatMul(s, h) }",
    "without weights": "{ a = Relu(x)  s = Add(a, x)  b = MatMul(s, w)  y = MatMul(b, h) }",
    "not from each other": "{ a = MatMul(x, w)  b = Relu(x)  s = Add(a, b)  y = MatMul(s, h) }",
    "read elsewhere": "{ a = MatMul(x, w)  s = Add(a, x)  t = Mul(s, a)  y = MatMul(t, h) }",
}


@pytest.mark.parametrize("name", NOT)
def test_what_is_none(name, tmp_path):
    proto = build(head("float[N, 8] x", "float[N, 3] y") + NOT[name], w=(8, 8), h=(8, 3))
    assert find_blocks(load(proto, tmp_path), SETTINGS) == ([], [])


def test_what_has_to_stay_is_named(tmp_path):
    kept = PruneSettings(structured=True, unit="blocks", keep=("v1", "*_6"))
    found, left = find_blocks(load(THREE, tmp_path), kept)
    assert len(found) == 1
    assert all("is kept" in line for line in left)
    proto = build(head("float[N, 8] x", "float[N, 8] y") + "{ a = MatMul(x, w)  y = Add(a, x) }", w=(8, 8))
    assert "output of the model" in find_blocks(load(proto, tmp_path), SETTINGS)[1][0]


@pytest.mark.parametrize("gone", [(1,), (0, 1), (1, 2), (0, 2), (0, 1, 2)])
def test_removing_is_adding_nothing(gone, tmp_path):
    model = load(THREE, tmp_path)
    found = find_blocks(model, SETTINGS)[0]
    remove(model, [found[place].name for place in gone], SETTINGS)
    models.save(model, tmp_path / "less.onnx")
    silent = onnx.ModelProto.FromString(THREE.SerializeToString())
    for tensor in silent.graph.initializer:
        if tensor.name in {f"v{place + 1}" for place in gone}:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.zeros((16, 8), np.float32), tensor.name))
    x = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)
    run = [ReferenceEvaluator(one).run(None, {"x": x})[0] for one in (silent, onnx.load(tmp_path / "less.onnx"))]
    np.testing.assert_allclose(*run, rtol=1e-6)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    onnx.save(THREE, "m.onnx")
    np.savez("data.npz", x=np.random.default_rng(0).standard_normal((128, 8)).astype(np.float32))
    return tmp_path


def test_the_one_that_matters_least_goes_and_the_rest_makes_up_for_it(folder):
    drops = {}
    for method in ("obs", "magnitude"):
        asked = PruneSettings(
            structured=True,
            unit="blocks",
            method=method,
            sparsity=0.34,
            data="data.npz",
            metric="mse",
            measure_seconds=0,
        )
        report = prune("m.onnx", asked, dry_run=True)
        assert [group.after for group in report.groups] == [1, 0, 1]
        drops[method] = report.quality.drop
    assert drops["obs"] < drops["magnitude"]


def test_from_the_command_line(folder, capfd):
    given = ["prune", "m.onnx", "--structured", "--unit", "blocks", "--data", "data.npz", "--measure-seconds", "0"]
    assert invoke([*given, "--target-size", "75%"]) == 0
    assert (folder / "m.pruned.onnx").stat().st_size <= 0.75 * (folder / "m.onnx").stat().st_size
    assert "blocks" in capfd.readouterr().out
    assert invoke([*given, "--analyze", "--report", "s.json"]) == 0
    found = json.loads((folder / "s.json").read_text())["sensitivity"]
    errors = [one["points"][0]["error"] for one in found]
    assert errors[1] == min(errors)


def test_bad_input(folder):
    assert invoke(["prune", "m.onnx", "--unit", "blocks", "--data", "data.npz"]) == ExitCode.USAGE
    with pytest.raises(Usage, match="are for channels"):
        PruneSettings(structured=True, unit="blocks", allocation="auto")
    proto = build(head("float[N, 8] x", "float[N, 3] y") + "{ y = MatMul(x, h) }", h=(8, 3))
    onnx.save(proto, "none.onnx")
    with pytest.raises(Usage, match="no residual block"):
        prune("none.onnx", PruneSettings(structured=True, unit="blocks", data="data.npz"), dry_run=True)


def test_a_block_of_convolutions(tmp_path):
    found, _ = find_blocks(load(RESIDUAL, tmp_path), SETTINGS)
    assert [one.skip.name for one in found] == ["b"]
