"""`ncgopt inspect --parallel`."""

import json

import numpy as np
import onnx
import pytest

from ncgopt_cli.main import invoke

TEXT = """
<ir_version: 10, opset_import: ["" : 21]>
g (float[N, 256] x) => (float[N, 256] y) { a = MatMul(x, v)  b = MatMul(x, w)  s = Softmax(a)  y = Mul(s, b) }
"""


@pytest.fixture
def model(tmp_path):
    made = onnx.parser.parse_model(TEXT)
    for name, size in (("v", 0.01), ("w", 0.02)):
        weight = np.full((256, 256), size, np.float32)
        made.graph.initializer.append(onnx.numpy_helper.from_array(weight, name))
    path = tmp_path / "m.onnx"
    onnx.save(made, path)
    return path


@pytest.mark.parametrize("measure", [[], ["--measure"]])
def test_two_branches(measure, model, tmp_path, capfd):
    picture = tmp_path / "p.svg"
    arguments = ["inspect", str(model), "--parallel", "--bind", "N=64", "--plot", str(picture), *measure]
    assert invoke([*arguments, "--format", "json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["source"] == ("measured" if measure else "modelled")
    assert found["binding"] == {"N": 64}
    assert 1.2 < found["parallelism"] < 2
    assert found["untold"] == 0
    assert len(found["widest_level"]) == 2
    assert [found["steps"][place]["operator"] for place in found["critical_path"]][-1] == "Mul"
    assert picture.read_text().count("<rect") == 4
    if not measure:
        assert invoke(arguments) == 0
        said = capfd.readouterr().out
        assert "parallelism" in said
        assert "MatMul" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--parallel", "--memory"], "exclude each other"),
        (["--plot", "a.svg"], "goes with --parallel"),
        (["--parallel", "--plot", "a.png"], "writes .svg"),
        (["--parallel", "--bind", "M=64"], "no symbolic dimension M to bind; the model has N"),
        (["--parallel", "--measure", "--bind", "M=64"], "no symbolic dimension M to bind; the model has N"),
        (["--measure"], "belong to --memory or --parallel"),
    ],
)
def test_what_makes_no_sense(arguments, says, model, capfd):
    assert invoke(["inspect", str(model), *arguments]) == 64
    assert says in capfd.readouterr().err


def test_a_picture_that_cannot_be_written(model, tmp_path, capfd):
    assert invoke(["inspect", str(model), "--parallel", "--plot", str(tmp_path / "no" / "p.svg")]) == 73
    assert "No such file" in capfd.readouterr().err
