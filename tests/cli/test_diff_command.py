"""`ncgopt diff`: what counts as a difference, and what does not."""

import json
import re

import numpy as np
import onnx
import pytest

HEAD = '<ir_version: 10, opset_import: ["" : 21]>'


@pytest.fixture
def model(tmp_path):
    """A model from text, with a weight `w`."""

    def make(name, text, weight=(1, 2, 3, 4), **metadata):
        made = onnx.parser.parse_model(text if text.startswith("<") else f"{HEAD} {text}")
        made.graph.initializer.append(onnx.numpy_helper.from_array(np.array(weight, np.float32), "w"))
        onnx.helper.set_model_props(made, metadata)
        onnx.save(made, tmp_path / name)
        return tmp_path / name

    return make


PLAIN = "g (float[N, 4] x) => (float[N, 4] y) { a = Add(x, w) b = Relu(a) y = Neg(b) }"


def test_a_model_and_itself(ncgopt, model):
    outcome = ncgopt("diff", model("a.onnx", PLAIN), model("b.onnx", PLAIN))
    assert outcome.code == 0
    assert "no difference" in outcome.out
    assert "passed" in outcome.out


def test_names_of_values_and_nodes_are_no_difference(ncgopt, model):
    other = PLAIN.replace("a =", "t0 =").replace("(a)", "(t0)").replace("b =", "t1 =").replace("(b)", "(t1)")
    found = json.loads(
        ncgopt("diff", model("a.onnx", PLAIN), model("b.onnx", other), "--no-numbers", "--format", "json").out
    )
    assert found["identical"]
    assert found["nodes"]["same"] == 3
    assert found["verification"] is None


def test_what_differs_is_said_by_kind(ncgopt, model):
    other = "g (float[N, 4] x) => (float[N, 4] y) { a = Add(x, w) b = LeakyRelu(a) c = Abs(b) y = Neg(c) }"
    left, right = model("a.onnx", PLAIN, author="A"), model("b.onnx", other, weight=(1, 2, 3, 4.5), author="B")
    outcome = ncgopt("diff", left, right, "--format", "json")
    assert outcome.code == 1
    found = json.loads(outcome.out)
    assert {(one["operator"], one["left"], one["right"]) for one in found["operators"]} == {
        ("Relu", 1, 0), ("LeakyRelu", 0, 1), ("Abs", 0, 1),
    }  # fmt: skip
    facts = {(one["what"], one["name"]): (one["left"], one["right"]) for one in found["facts"]}
    assert facts["metadata", "author"] == ("A", "B")
    assert "1 of 4 elements differ, by up to 0.5" in facts["weight", "w"][1]
    changed = {one["value"]: one["why"] for one in found["nodes"]["changed"]}
    assert changed == {"a": "inputs", "b": "operator", "y": "inputs"}
    assert found["nodes"]["added"] == ["Abs c"]
    assert found["verification"]["status"] == "failed"


def test_other_attributes_and_other_interfaces(ncgopt, model):
    left = model("a.onnx", "g (float[N, 4] x) => (float[N, 4] y) { a = Add(x, w) y = Softmax<axis = 1>(a) }")
    right = model("b.onnx", "g (float[M, 4] x) => (float[M, 4] y) { a = Add(x, w) y = Softmax<axis = 0>(a) }")
    outcome = ncgopt("diff", left, right)
    assert outcome.code == 1
    assert re.search(r"y +Softmax y +Softmax y +attributes", outcome.out)
    assert "results cannot be compared" in outcome.out


def test_other_operator_sets(ncgopt, model):
    left = model("a.onnx", PLAIN)
    right = model("b.onnx", f'<ir_version: 9, opset_import: ["" : 20]> {PLAIN}')
    outcome = ncgopt("diff", left, right, "--no-numbers")
    assert re.search(r"opset +ai.onnx +21 +20", outcome.out)
    assert outcome.code == 1


def test_pages_and_files(ncgopt, model, tmp_path):
    left, right = model("a.onnx", PLAIN), model("b.onnx", PLAIN.replace("Relu", "Abs"))
    assert ncgopt("diff", left, right, "--no-numbers", "--report", "d.html").code == 1
    text = (tmp_path / "d.html").read_text()
    assert "default-src 'none'" in text
    assert '"kind":"diff"' in text
    assert ncgopt("diff", left, right, "--no-numbers", "--report", "d.json", "--quiet").out == ""
    assert json.loads((tmp_path / "d.json").read_text())["identical"] is False
    assert ncgopt("diff", left, right, "--report", left).code == 64
    assert ncgopt("diff", left, tmp_path / "none.onnx").code == 66
