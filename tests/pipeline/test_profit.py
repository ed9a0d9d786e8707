"""What does not pay is taken back; what is slower than allowed is not written."""

import json
from pathlib import Path

import numpy as np
import onnx
import planted
import pytest

import ncgopt
from ncgopt.errors import Slower
from ncgopt.pipeline.profit import Profit, trades
from ncgopt.settings import MeasureSettings, Settings


class DetourRule(planted._Wrong):
    """Right, and never worth it: `Neg(x)` becomes the product with a diagonal matrix."""

    name = "replace-neg-by-product"
    root = "Neg"

    def build(self, tape, m):
        return [tape.op("MatMul", [m.x, tape.constant(-np.eye(512, dtype=np.float32))])]


class DirectRule(planted._Wrong):
    """Right, and worth it: the product with this one matrix is a negation."""

    name = "replace-product-by-neg"
    root = "MatMul"

    def build(self, tape, m):
        return [tape.op("Neg", [m.x])]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """A negation, a product with a negated identity, and something that nothing is done to, between them."""
    text = (
        '<ir_version: 10, opset_import: ["" : 21]> g (float[64, 512] x) => (float[64, 512] y) '
        "{ a = Neg(x) b = Sin(a) c = MatMul(b, w) y = Cos(c) }"
    )
    model = onnx.parser.parse_model(text)
    model.graph.initializer.append(onnx.numpy_helper.from_array(-np.eye(512, dtype=np.float32), "w"))
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}.{number}"
    path = tmp_path / "chain.onnx"
    onnx.save(model, path)
    return path


QUICK = MeasureSettings(seconds=20.0)


def test_what_loses_is_taken_back_and_what_wins_stays(chain, monkeypatch):
    planted.plant(monkeypatch, DetourRule())
    report = ncgopt.optimize(chain, Settings(measure=True, measurement=QUICK))
    assert [(one.source, one.where, one.measured) for one in report.not_profitable] == [
        ("replace-neg-by-product", "Neg Neg.0", "window")
    ]
    assert report.not_profitable[0].high < 1
    assert not report.rolled_back
    assert not report.rewrites
    assert report.verification.status == "passed"
    found = report.measurement
    assert found is not None
    assert (found.windows, found.remembered, found.unmeasured) == (1, 0, 0)
    assert found.verdict == "no difference within noise"


def test_what_only_slows_the_whole_model_down_is_found_by_bisection(chain, monkeypatch):
    planted.plant(monkeypatch, DetourRule())
    monkeypatch.setattr(Profit, "refine", lambda _, trial: trial)
    report = ncgopt.optimize(chain, Settings(measure=True, measurement=MeasureSettings(seconds=30.0)))
    assert [(one.source, one.measured) for one in report.not_profitable] == [("replace-neg-by-product", "model")]
    assert report.measurement is not None
    assert report.measurement.verdict != "slower"
    assert report.verification.status == "passed"


def test_what_wins_stays(chain, monkeypatch):
    planted.plant(monkeypatch, DirectRule())
    report = ncgopt.optimize(chain, Settings(measure=True, verify=False, measurement=QUICK))
    assert [rewrite.source for rewrite in report.rewrites] == ["replace-product-by-neg"]
    assert not report.not_profitable
    assert report.measurement is not None
    assert report.measurement.verdict == "faster"


def test_another_run_remembers(chain, monkeypatch):
    planted.plant(monkeypatch, DirectRule())
    for _ in range(2):
        report = ncgopt.optimize(chain, Settings(measure=True, verify=False, measurement=QUICK))
    assert report.measurement is not None
    assert (report.measurement.windows, report.measurement.remembered) == (1, 1)


def test_damaged_entries_are_measured_anew(chain, monkeypatch, tmp_path):
    planted.plant(monkeypatch, DirectRule())
    ncgopt.optimize(chain, Settings(measure=True, verify=False, measurement=QUICK))
    for number, entry in enumerate((tmp_path / "cache/ncgopt/measure").glob("*.json")):
        entry.write_text(["{", '["a", 1, 1, 1]', "[1]"][number % 3])
    report = ncgopt.optimize(chain, Settings(measure=True, verify=False, measurement=QUICK))
    assert report.measurement is not None
    assert (report.measurement.windows, report.measurement.remembered) == (1, 0)


def test_without_time_nothing_is_taken_back_and_that_is_said(chain, monkeypatch):
    planted.plant(monkeypatch, DetourRule())
    report = ncgopt.optimize(chain, Settings(measure=True, verify=False, measurement=MeasureSettings(seconds=0.01)))
    assert not report.not_profitable
    assert report.measurement is not None
    assert report.measurement.unmeasured == 1
    assert "0.01 seconds" in report.measurement.reason


def test_the_gate_writes_nothing(chain, monkeypatch):
    planted.plant(monkeypatch, DetourRule())
    with pytest.raises(Slower, match=r"longer than the original.*3 % are allowed") as caught:
        ncgopt.optimize(chain, Settings(verify=False, fail_if_slower=0.03, measurement=QUICK))
    assert caught.value.report is not None
    assert caught.value.report.status == "failed"
    assert caught.value.report.measurement is not None
    assert caught.value.report.measurement.verdict == "slower"
    assert not chain.with_name("chain.opt.onnx").exists()


def test_the_gate_lets_through_what_is_not_slower(chain, monkeypatch):
    planted.plant(monkeypatch, DirectRule())
    report = ncgopt.optimize(chain, Settings(verify=False, fail_if_slower=0.0, measurement=QUICK))
    assert report.status == "written"
    assert json.loads(report.to_json())["measurement"]["ratio"] > 1


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("merge-linear-layers", True),
        ("replace-lrn", True),
        ("fuse-gelu", True),
        ("eliminate-add-zero", False),
        ("fuse-reshapes", False),
        ("fold-constants", False),
    ],
)
def test_what_trades(source, expected):
    assert trades(source) == expected
