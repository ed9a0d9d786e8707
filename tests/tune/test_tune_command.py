"""`ncgopt tune`, with a budget that is far too small to find anything and enough to go all the way."""

import json
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest

import ncgopt
from ncgopt_cli.main import invoke

TEXT = """
<ir_version: 10, opset_import: ["" : 21]>
g (float[N, 64] x) => (float[N, 64] y) { a = MatMul(x, w)  y = Softmax(a) }
"""
OPTIONS = """
import sys, onnxruntime
options = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"]).get_session_options()
print(options.intra_op_num_threads)
"""


@pytest.fixture
def model(tmp_path):
    made = onnx.parser.parse_model(TEXT)
    weight = np.linspace(-1, 1, 4096, dtype=np.float32).reshape(64, 64)
    made.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    path = tmp_path / "m.onnx"
    onnx.save(made, path)
    return path


@pytest.mark.parametrize("streams", [1, 2])
def test_all_the_way(streams, model, tmp_path, capfd):
    copy = tmp_path / "copy.onnx"
    arguments = ["tune", str(model), "--budget", "4", "--bind", "N=8", "--streams", str(streams), "--threads", "1"]
    assert invoke([*arguments, "--format", "json", "--ort-config", str(copy)]) == 0
    said = capfd.readouterr()
    assert said.err == ""
    found = json.loads(said.out)
    assert found["binding"] == {"N": 8}
    assert found["chosen"]["intra_op_threads"] in (0, 1)
    assert found["default"]["per_second"] > 0
    assert found["default"]["p50"] <= found["default"]["p99"]
    written = json.loads((tmp_path / "m.session.json").read_text())
    assert written["settings"] == found["chosen"]
    assert ncgopt.session(model).get_session_options().intra_op_num_threads == found["chosen"]["intra_op_threads"]
    shown = json.loads({one.key: one.value for one in onnx.load(copy).metadata_props}["ort_config"])
    assert shown["session_options"]["intra_op_num_threads"] == found["chosen"]["intra_op_threads"]
    environment = {**os.environ, "ORT_LOAD_CONFIG_FROM_MODEL": "1"}
    command = [sys.executable, "-c", OPTIONS, str(copy)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) == found["chosen"]["intra_op_threads"]


def test_a_dry_run_tells_and_writes_nothing(model, tmp_path, capfd):
    assert invoke(["tune", str(model), "--budget", "0.5", "--bind", "N=8", "--dry-run"]) == 0
    said = capfd.readouterr().out
    assert "the budget is too small for this model; the defaults stay" in said
    assert "were left out" in said
    assert list(tmp_path.iterdir()) == [model]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["gone.onnx"], 66, "o such file"),
        (["m.onnx", "--ort-config", "m.onnx"], 64, "is the model itself"),
        (["m.onnx", "--ort-config", "m.session.json"], 64, "where the settings go"),
        (["m.onnx", "--ort-config", "no/copy.onnx"], 73, "does not exist"),
        (["m.onnx", "--budget", "0"], 64, "budget"),
        (["m.onnx", "--bind", "Q=3"], 64, "Q"),
    ],
)
def test_what_cannot_be_tuned(arguments, code, says, model, capfd, monkeypatch):
    monkeypatch.chdir(model.parent)
    assert invoke(["tune", *arguments]) == code
    said = capfd.readouterr()
    assert says in said.err
    assert said.err.count("\n") == 1
    assert list(model.parent.iterdir()) == [model]
