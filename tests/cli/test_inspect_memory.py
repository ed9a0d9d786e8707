"""`ncgopt inspect --memory`."""

import json

import onnx
import pytest

MODEL = """<ir_version: 8, opset_import: ["" : 17]>
g (float[batch, 1000] x) => (float[batch, 2000] y) { a = Neg(x)  b = Abs(a)  y = Concat<axis = 1>(a, b) }"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(onnx.parser.parse_model(MODEL), path)
    return path


def test_numbers_formula_and_what_is_held(ncgopt, model):
    shown = ncgopt("inspect", model, "--memory", "--bind", "batch=7")
    assert shown.code == 0
    assert "112000 at batch=7, predicted" in shown.out
    assert "16000*batch" in shown.out
    data = json.loads(ncgopt("inspect", model, "--memory", "--bind", "batch=7", "--format", "json").out)
    assert data["peak_bytes"] == 4 * 7 * 4000
    assert data["binding"] == {"batch": 7}
    assert [held["value"] for held in data["buffers"]] == ["y", "a", "b"]


@pytest.mark.parametrize("options", [["--measure"], ["--memory", "--feeds", "x.npz"]])
def test_options_that_belong_to_others(ncgopt, model, options):
    outcome = ncgopt("inspect", model, *options)
    assert outcome.code == 64
    assert "belong" in outcome.err


def test_a_model_that_onnx_runtime_does_not_take(ncgopt, tmp_path):
    path = tmp_path / "odd.onnx"
    text = '<ir_version: 8, opset_import: ["" : 17, "odd" : 1]> g (float[1] x) => (float[1] y) { y = odd.Op(x) }'
    onnx.save(onnx.parser.parse_model(text), path)
    outcome = ncgopt("inspect", path, "--memory")
    assert outcome.code == 5
    assert outcome.err.count("\n") == 1
