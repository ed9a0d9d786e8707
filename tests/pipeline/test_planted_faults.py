"""Every fault that was planted is caught, named and rolled back, and the rest of the optimization survives."""

from __future__ import annotations

from pathlib import Path

import onnx
import planted
import pytest

import ncgopt
from ncgopt.errors import NcgoptError
from ncgopt.settings import Settings

MODEL = """
<ir_version: 10, opset_import: ["" : 21]>
g (float[batch, 4] x, float[batch, 4] unused)
=> (float[batch, 4] y, float[batch, 4] q, float[batch, 2] z, float[2, 3] r)
<float[4, 2] w = {1, 2, 3, 4, 5, 6, 7, 8}, float[2] b = {1, -1}, float k = {-3}, float zero = {0}, float low = {-2}, float high = {2}, float[2, 3] mean = {1, 2, 3, 4, 5, 6}> {
  i = Identity(x)
  a = Abs(i)
  y = Exp(a)
  p = Relu(x)
  n = Mul(p, k)
  c = Equal(n, zero)
  s = Where(c, zero, n)
  o = Reciprocal(s)
  q = Clip(o, low, high)
  m = MatMul(x, w)
  z = Add(m, b)
  d = RandomNormal<shape = [2, 3]>()
  r = Add(d, mean)
}
"""
# What becomes of it without any fault.
SURVIVES = {"eliminate-identity", "fuse-matmul-add"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(MODEL), path)
    return path


class WrongForBatchesAtAbs(planted.WrongForBatches):
    """The same where there is no identity that is eliminated first."""

    name = "wrong-for-batches"
    root = "Abs"

    def build(self, tape, m):
        return [tape.op("Abs", super().build(tape, m))]

    def match(self, node):
        producer = node.inputs[0].producer()
        return None if producer is not None and producer.op_type == "CumSum" else super().match(node)


FAULTS = [
    WrongForBatchesAtAbs(),
    planted.WrongForNegatives(),
    planted.WrongWhenOptimized(),
    planted.RaisesInMatch(),
    planted.CrashesInBuild(),
    planted.LoopsForever(),
    planted.WrongWithAnother(),
    planted.DropsUnusedInput,
    planted.RenamesOutput,
    planted.FreezesRandomNormal,
    planted.MakesDimStatic,
    planted.MakesDimStaticUnchecked,
    planted.CrashesChild,
    planted.RaisesAtOnce,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_caught_named_and_rolled_back(model: Path, monkeypatch, fault):
    planted.plant(monkeypatch, fault)
    report = ncgopt.optimize(model, Settings(timeout=5.0 if fault.name == "loops-forever" else 600.0))
    assert {r.source for r in report.rolled_back} == {fault.name}
    assert all(r.reason for r in report.rolled_back)
    assert report.status == "written"
    assert report.verification.status == "passed"
    assert {r.source for r in report.rewrites} >= SURVIVES
    assert not any(r.source == fault.name for r in report.rewrites)
    result = onnx.load(report.output)
    assert [v.name for v in result.graph.input] == ["x", "unused"]
    assert [v.name for v in result.graph.output] == ["y", "q", "z", "r"]


def test_without_a_fault_nothing_is_rolled_back(model: Path):
    report = ncgopt.optimize(model)
    assert not report.rolled_back
    assert {r.source for r in report.rewrites} >= SURVIVES


def test_many_faults_at_once(model: Path, monkeypatch):
    planted.plant(monkeypatch, *(fault for fault in FAULTS if fault.name != "loops-forever"))
    report = ncgopt.optimize(model)
    assert {r.source for r in report.rolled_back} >= {"raises-in-match", "wrong-for-negatives", "renames-output"}
    assert report.verification.status == "passed"
    assert {r.source for r in report.rewrites} >= SURVIVES


@pytest.mark.parametrize(
    "fault",
    [planted.WrongForNegatives(), planted.RaisesInMatch(), planted.RenamesOutput, planted.CrashesChild],
    ids=lambda fault: fault.name,
)
def test_strict_writes_nothing(model: Path, monkeypatch, fault):
    planted.plant(monkeypatch, fault)
    with pytest.raises(NcgoptError, match=fault.name) as failure:
        ncgopt.optimize(model, Settings(strict=True))
    assert failure.value.exit_code in (3, 4)
    assert list(model.parent.iterdir()) == [model]
