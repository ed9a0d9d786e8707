"""`optimize --opset`: the upgrade as users meet it."""

import json

import numpy as np
import onnx
import pytest

OLD = """
<ir_version: 8, opset_import: ["" : 11, "f" : 1]>
g (float[N, 3, 4] x) => (float[N, 1, 4] y) { a = Softmax(x) b = f.half(a) c = Squeeze<axes = [2]>(b) y = Relu(c) }
<domain: "f", opset_import: ["" : 11]>
half (a) => (b) { t = Unsqueeze<axes = [2]>(a) b = ReduceMean<axes = [1]>(t) }
"""


@pytest.fixture
def old(tmp_path):
    model = onnx.parser.parse_model(OLD)
    model.metadata_props.add(key="author", value="me")
    model.graph.node[0].metadata_props.add(key="layer", value="3")
    onnx.save(model, tmp_path / "old.onnx")
    return tmp_path / "old.onnx"


def test_never_without_being_asked(ncgopt, old, tmp_path):
    assert ncgopt("optimize", old, "-o", tmp_path / "new.onnx").code == 0
    assert onnx.load(tmp_path / "new.onnx").opset_import[0].version == 11


def test_the_whole_model_is_upgraded(ncgopt, old, tmp_path):
    report = tmp_path / "r.json"
    keeping = ("--skip", "inline-functions", "--report", report)
    outcome = ncgopt("optimize", old, "-o", tmp_path / "new.onnx", "--opset", "23", *keeping)
    assert outcome.code == 0, outcome.err
    assert "11 -> 23" in outcome.out
    model = onnx.load(tmp_path / "new.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert {(item.domain, item.version) for item in model.opset_import} == {("", 23), ("f", 1)}
    assert [item.version for function in model.functions for item in function.opset_import] == [23]
    assert model.ir_version == 11
    assert {entry.key: entry.value for entry in model.metadata_props}["author"] == "me"
    change = json.loads(report.read_text())["opset"]
    assert (change["before"], change["after"], change["ir_before"], change["ir_after"]) == (11, 23, 8, 11)
    assert change["rewritten"] == {"Softmax": 1, "Squeeze": 1, "Unsqueeze": 1, "ReduceMean": 1}


def test_an_upgrade_may_be_in_the_settings_file(ncgopt, old, tmp_path):
    (tmp_path / "ncgopt.toml").write_text("opset = 13\n")
    assert ncgopt("optimize", old, "-o", tmp_path / "new.onnx").code == 0
    assert onnx.load(tmp_path / "new.onnx").opset_import[0].version == 13


def test_the_same_version_changes_nothing(ncgopt, old, tmp_path):
    assert ncgopt("optimize", old, "-o", tmp_path / "new.onnx", "--opset", "11", "--preset", "none").code == 0
    assert onnx.load(tmp_path / "new.onnx") == onnx.load(old)


@pytest.mark.parametrize(("version", "says"), [("10", "only upgrades"), ("99", "knows operator sets up to")])
def test_what_makes_no_sense_is_one_line(ncgopt, old, tmp_path, version, says):
    outcome = ncgopt("optimize", old, "-o", tmp_path / "new.onnx", "--opset", version)
    assert outcome.code == 64
    assert says in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert not (tmp_path / "new.onnx").exists()


def test_what_is_kept_is_not_rewritten(ncgopt, old, tmp_path):
    model = onnx.load(old)
    model.graph.node[2].name = "squeeze"
    onnx.save(model, old)
    outcome = ncgopt("optimize", old, "-o", tmp_path / "new.onnx", "--opset", "23", "--keep", "squeeze")
    assert outcome.code == 64
    assert "Squeeze 'squeeze': --keep protects it" in outcome.err


def test_an_upgrade_that_the_runtime_cannot_run_is_not_written(ncgopt, tmp_path):
    model = onnx.parser.parse_model(
        '<ir_version: 7, opset_import: ["" : 11]> g (float[1, 1, 8, 8] x) => (float[1, 1, 2, 2] y)'
        "<float[1, 4] r = {1.0, 1.0, 6.0, 5.0}, int64[1] b = {0}>"
        "{ y = RoiAlign<output_height = 2, output_width = 2>(x, r, b) }"
    )
    onnx.save(model, tmp_path / "roi.onnx")
    assert ncgopt("optimize", tmp_path / "roi.onnx", "-o", tmp_path / "16.onnx", "--opset", "16").code == 0
    outcome = ncgopt("optimize", tmp_path / "roi.onnx", "-o", tmp_path / "22.onnx", "--opset", "22")
    if outcome.code:  # an ONNX Runtime without a kernel for RoiAlign-22
        assert outcome.code == 3
        assert "after the upgrade to operator set 22" in outcome.err
        assert not (tmp_path / "22.onnx").exists()


def test_a_lossy_step_does_not_hide_what_the_upgrade_did(ncgopt, tmp_path):
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 11]> g (float[N, 8] x) => (float[N, 8] y) { t = MatMul(x, w) y = Softmax(t) }'
    )
    weight = np.arange(64, dtype=np.float32).reshape(8, 8) / 64
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    onnx.save(model, tmp_path / "a.onnx")
    outcome = ncgopt(
        "optimize", tmp_path / "a.onnx", "-o", tmp_path / "b.onnx", "--opset", "13",
        "--passes", "prune-weights,default", "--sparsity", "0.5",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert onnx.load(tmp_path / "b.onnx").opset_import[0].version == 13
