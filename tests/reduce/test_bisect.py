"""The rewrite at fault, and a bundle that shows it on a small part of the model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import planted
import pytest

from ncgopt import reduce
from ncgopt.errors import CannotWrite, InputUnreadable
from ncgopt.settings import Settings
from ncgopt_cli.main import invoke

TEXT = """
<ir_version: 10, opset_import: ["" : 21]>
g (float[batch, 6, 8] x, float[8, 8] v) => (float[batch, 6, 8] y, float[batch, 48] z)
<float[8] b = {1, 2, 3, 4, 5, 6, 7, 8}, int64[2] flat = {0, 48}> {
  i = Identity(x)
  h = MatMul(i, v)
  k = Add(h, b)
  t = Tanh(k)
  a = Abs(t)
  s = Sqrt(a)
  e = Exp(s)
  y = Mul(e, t)
  f = Sin(y)
  z = Reshape(f, flat)
}
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(TEXT), path)
    return path


def bisect(model: Path):
    return reduce.bisect(model, Settings(), folder=model.with_name("bundle"))


def test_a_wrong_rule_becomes_one_node_with_plain_numbers(model: Path, monkeypatch):
    planted.plant(monkeypatch, planted.WrongForNegatives())
    found = bisect(model)
    assert (found.bundle.source, found.bundle.where) == ("wrong-for-negatives", "Abs a")
    assert found.bundle.reduced
    assert found.bundle.symptom.kind == "differs"
    before, after = (onnx.load(found.folder / name) for name in ("before.onnx", "after.onnx"))
    assert [n.op_type for n in before.graph.node] == ["Abs"]
    assert [n.op_type for n in after.graph.node] == ["Relu"]
    feeds = np.load(found.folder / "feeds.npz")
    assert feeds["t"].shape == (1, 1, 1)
    assert feeds["t"] == -1
    assert "ncgopt bisect --replay" in (found.folder / "README.md").read_text()
    shown = reduce.replay(found.folder)
    assert shown.status == "at fault"
    assert shown.stored.kind == shown.fresh.kind == "differs"
    monkeypatch.undo()
    assert reduce.replay(found.folder).status == "gone"


def test_a_rule_that_raises(model: Path, monkeypatch):
    planted.plant(monkeypatch, planted.RaisesInMatch())
    found = bisect(model)
    assert found.bundle.symptom.kind == "raises"
    assert [n.op_type for n in onnx.load(found.folder / "before.onnx").graph.node] == ["Abs"]
    assert not (found.folder / "after.onnx").exists()


@pytest.mark.parametrize(
    "fault",
    [planted.RenamesOutput, planted.MakesDimStatic, planted.MakesDimStaticUnchecked, planted.CrashesChild],
    ids=lambda fault: fault.name,
)
def test_a_wrong_pass_becomes_one_node(model: Path, monkeypatch, fault):
    planted.plant(monkeypatch, fault)
    found = bisect(model)
    assert found.bundle.source == fault.name
    assert found.bundle.nodes == 1
    assert reduce.replay(found.folder).status == "at fault"


def test_nothing_is_wrong(model: Path):
    assert bisect(model).bundle is None
    assert not model.with_name("bundle").exists()


def test_a_folder_with_something_in_it_is_left_alone(model: Path):
    with pytest.raises(CannotWrite, match="not empty"):
        reduce.bisect(model, Settings(), folder=model.parent)
    with pytest.raises(InputUnreadable, match=r"bundle\.json"):
        reduce.replay(model.parent)


def test_the_command(model: Path, monkeypatch, capsys):
    assert invoke(["bisect", str(model)]) == 0
    assert "nothing is wrong" in capsys.readouterr().out
    planted.plant(monkeypatch, planted.WrongForNegatives())
    assert invoke(["bisect", str(model), "-o", str(model.with_name("out"))]) == 3
    assert "wrong-for-negatives at Abs a" in capsys.readouterr().out
    assert invoke(["bisect", "--replay", str(model.with_name("out")), "--format", "json"]) == 3
    assert json.loads(capsys.readouterr().out)["fresh"]["kind"] == "differs"
    assert invoke(["bisect"]) == 64
