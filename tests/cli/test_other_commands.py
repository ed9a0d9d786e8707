"""`verify`, `inspect`, `check`, `bench`, `passes` and `explain` on real models."""

import json

import numpy as np
import onnx
import pytest

LINEAR = """
<ir_version: 10, opset_import: ["" : 21]>
g (float[N, 8] x) => (float[N, 8] y) { y = MatMul(x, w) }
"""
SHORTER = """
<ir_version: 10, opset_import: ["" : 21]>
g (float[N, 8] x) => (float[N, 4] y) { y = MatMul(x, w) }
"""


def _linear(path, scale=1.0, columns=8, text=LINEAR, producer=""):
    model = onnx.parser.parse_model(text)
    model.producer_name = producer
    weight = np.full((8, columns), scale, dtype=np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    onnx.save(model, path)
    return path


def test_equal_models_pass_whoever_made_them(ncgopt, tmp_path):
    left, right = _linear(tmp_path / "a.onnx"), _linear(tmp_path / "b.onnx", producer="somebody")
    outcome = ncgopt("verify", left, right)
    assert (outcome.code, outcome.out.splitlines()[0]) == (0, "passed")


def test_different_models_fail(ncgopt, tmp_path):
    left, right = _linear(tmp_path / "a.onnx"), _linear(tmp_path / "b.onnx", scale=1.1)
    outcome = ncgopt("verify", left, right, "--format", "json")
    assert outcome.code == 3
    found = json.loads(outcome.out)
    assert found["schema_version"] == 1
    assert found["verification"]["status"] == "failed"
    assert found["verification"]["worst"]["output"] == "y"


def test_another_interface_fails(ncgopt, tmp_path):
    left = _linear(tmp_path / "a.onnx")
    right = _linear(tmp_path / "b.onnx", columns=4, text=SHORTER)
    outcome = ncgopt("verify", left, right)
    assert outcome.code == 3
    assert "output 'y'" in outcome.out


def test_own_feeds_are_used(ncgopt, tmp_path):
    left, right = _linear(tmp_path / "a.onnx"), _linear(tmp_path / "b.onnx")
    np.savez(tmp_path / "mine.npz", x=np.ones((2, 8), np.float32))
    outcome = ncgopt("verify", left, right, "--feeds", tmp_path / "mine.npz", "-v")
    assert outcome.code == 0
    assert "mine.npz" in outcome.out


def test_inspect_as_text(ncgopt, tmp_path):
    outcome = ncgopt("inspect", _linear(tmp_path / "a.onnx", producer="maker"), "--bind", "N=3")
    words = [line.split() for line in outcome.out.splitlines()]
    assert outcome.code == 0
    assert ["producer", "maker"] in words
    assert ["opset", "ai.onnx", "21"] in words
    assert ["input", "x", "float[N,8]"] in words
    assert ["parameters", "64"] in words
    assert ["dynamic", "dims", "N"] in words
    assert ["flops", str(2 * 3 * 8 * 8), "at", "N=3"] in words


def test_inspect_as_json(ncgopt, tmp_path):
    found = json.loads(ncgopt("inspect", _linear(tmp_path / "a.onnx"), "--format", "json").out)
    assert found["schema_version"] == 1
    assert found["inputs"][0]["shape"] == ["N", 8]
    assert found["cost"]["operators"]["MatMul"]["flops"] == 2 * 8 * 8
    assert found["cost"]["bindings"] == {"N": 1}


def test_inspect_names_external_data(ncgopt, tmp_path):
    model = onnx.load(_linear(tmp_path / "a.onnx"))
    onnx.save(model, tmp_path / "b.onnx", save_as_external_data=True, location="b.data", size_threshold=0)
    found = json.loads(ncgopt("inspect", tmp_path / "b.onnx", "--format", "json").out)
    assert found["external_data"] == [{"location": "b.data", "bytes": 256}]


def test_inspect_says_what_can_be_proven(ncgopt, tmp_path):
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21]> '
        "g (float[N] x, int64[1] t) => (float[M] y) { a = Relu(x) y = Reshape(a, t) }"
    )
    onnx.save(model, tmp_path / "a.onnx")
    plain = ncgopt("inspect", tmp_path / "a.onnx").out
    assert "known shapes" not in plain
    words = [line.split() for line in ncgopt("inspect", tmp_path / "a.onnx", "--facts").out.splitlines()]
    assert ["known", "types", "100.00", "%", "(2", "of", "2)"] in words
    found = json.loads(ncgopt("inspect", tmp_path / "a.onnx", "--facts", "--format", "json").out)
    assert found["facts"]["values"] == 2
    assert json.loads(ncgopt("inspect", tmp_path / "a.onnx", "--format", "json").out)["facts"] is None


def test_check_finds_what_optimize_would_do(ncgopt, dense, tmp_path):
    before = sorted(tmp_path.iterdir())
    outcome = ncgopt("check", dense)
    assert outcome.code == 1
    assert f"{dense}: rewrite: eliminate-identity" in outcome.out
    assert sorted(tmp_path.iterdir()) == before


def test_check_respects_the_selection(ncgopt, dense):
    assert ncgopt("check", dense, "--preset", "none").code == 0


def test_check_names_repairs_and_the_checkers_complaint(ncgopt, tmp_path):
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21]> g (float[2] x) => (float[2] y) { y = Abs(a) a = Neg(x) }'
    )
    onnx.save(model, tmp_path / "unsorted.onnx")
    outcome = ncgopt("check", tmp_path / "unsorted.onnx", "--preset", "none", "--format", "json")
    assert outcome.code == 1
    found = json.loads(outcome.out)["models"][0]["findings"]
    assert {finding["kind"] for finding in found} == {"checker", "repair"}


def test_a_wrong_declaration_is_named_everywhere(ncgopt, tmp_path):
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21]> g (float[N, 4] x) => (float[N, 4] y) '
        "<float[N, 5] t> { t = Neg(x) y = Abs(t) }"
    )
    onnx.save(model, tmp_path / "wrong.onnx")
    checked = ncgopt("check", tmp_path / "wrong.onnx", "--preset", "none", "--format", "json")
    findings = json.loads(checked.out)["models"][0]["findings"]
    assert ("contradiction", "t") in {(finding["kind"], finding["name"]) for finding in findings}
    assert "t is declared as [N,5], and is [N,4]" in ncgopt("inspect", tmp_path / "wrong.onnx", "--facts").out
    outcome = ncgopt("optimize", tmp_path / "wrong.onnx", "-o", tmp_path / "out.onnx")
    assert "t is declared as [N,5], and is [N,4]" in outcome.out


def test_check_of_many_files(ncgopt, dense, tmp_path):
    clean = _linear(tmp_path / "clean.onnx")
    outcome = ncgopt("check", clean, tmp_path / "none.onnx", dense)
    assert outcome.code == 66
    assert f"{clean}: ok" in outcome.out
    assert f"{dense}: rewrite" in outcome.out
    assert "none.onnx" in outcome.err


def test_bench_of_two(ncgopt, tmp_path):
    left, right = _linear(tmp_path / "a.onnx"), _linear(tmp_path / "b.onnx")
    options = ("--runs", "20", "--processes", "1", "--bind", "N=2", "--json")
    found = json.loads(ncgopt("bench", left, right, *options).out)
    assert [one["runs"] for one in found["models"]] == [20, 20]
    assert found["binding"] == {"N": 2}
    assert found["ratio"]["low"] <= found["ratio"]["value"] <= found["ratio"]["high"]
    assert found["verdict"] in ("faster", "slower", "no difference within noise")


def test_bench_of_one_with_a_profile(ncgopt, tmp_path):
    outcome = ncgopt("bench", _linear(tmp_path / "a.onnx"), "--runs", "10", "--processes", "1", "--profile")
    assert outcome.code == 0
    assert "ratio" not in outcome.out
    assert "the machine:" in outcome.out
    assert "MatMul" in outcome.out or "Gemm" in outcome.out


def test_bench_takes_runs_or_seconds(ncgopt, tmp_path):
    outcome = ncgopt("bench", _linear(tmp_path / "a.onnx"), "--runs", "10", "--seconds", "1")
    assert outcome.code == 64
    assert "exclude each other" in outcome.err


def test_passes_are_listed(ncgopt):
    lines = ncgopt("passes").out.splitlines()
    assert lines[0].split() == ["name", "kind", "claim", "presets", "targets", "summary"]
    assert any(line.split()[:3] == ["prune-weights", "pass", "LOSSY"] for line in lines)


def test_explain_a_rule_with_its_guards(ncgopt):
    outcome = ncgopt("explain", "eliminate-add-zero")
    assert outcome.code == 0
    assert outcome.out.startswith("eliminate-add-zero (rule, EXACT)")
    assert "requires  neutral-zero" in outcome.out


def test_explain_a_pass_with_its_options(ncgopt):
    assert "max_growth (int, default 0)" in ncgopt("explain", "fold-constants").out


@pytest.mark.parametrize("name", ["fold-constant", "Fold-Constants"])
def test_explain_suggests(name, ncgopt):
    outcome = ncgopt("explain", name)
    assert outcome.code == 64
    assert "fold-constants" in outcome.err
