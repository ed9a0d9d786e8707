"""Files that are no usable model: one clear line, the right code, nothing written."""

import numpy as np
import onnx
import pytest

FOREIGN = """
<ir_version: 10, opset_import: ["" : 21, "my.ops" : 1]>
g (float[N] x) => (float[N] y) { y = my.ops.Foo(x) }
"""


def _missing(path):
    return


def _truncated(path):
    model = onnx.parser.parse_model(FOREIGN)
    weight = onnx.numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    model.graph.initializer.append(weight)
    data = model.SerializeToString()
    path.write_bytes(data[: len(data) // 2])


def _text(path):
    path.write_text("This is not a model.\n")


def _empty(path):
    path.write_bytes(b"")


def _directory(path):
    path.mkdir()


def _without_its_data(path):
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21]> g (float[N, 64] x) => (float[N, 64] y) { y = MatMul(x, w) }'
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((64, 64), np.float32), "w"))
    onnx.save(model, path, save_as_external_data=True, location="gone.data", size_threshold=0)
    (path.parent / "gone.data").unlink()


@pytest.mark.parametrize("command", ["optimize", "inspect", "verify", "check", "bench"])
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_missing, "o such file"),
        (_truncated, "truncated"),
        (_text, "no ONNX file|not an ONNX model"),
        (_empty, "empty|No graph"),
        (_directory, "is a directory"),
        (_without_its_data, "gone.data"),
    ],
)
def test_unreadable(make, says, command, ncgopt, tmp_path):
    path = tmp_path / "model.onnx"
    make(path)
    before = sorted(tmp_path.iterdir())
    outcome = ncgopt(command, *([path, path] if command == "verify" else [path]))
    assert outcome.code == 66
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert str(path) in outcome.err
    assert any(part in outcome.err for part in says.split("|"))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("command", ["optimize", "bench"])
def test_an_operator_nobody_knows(command, ncgopt, tmp_path):
    path = tmp_path / "foreign.onnx"
    onnx.save(onnx.parser.parse_model(FOREIGN), path)
    before = sorted(tmp_path.iterdir())
    outcome = ncgopt(command, path)
    assert outcome.code == 5
    assert "my.ops" in outcome.err
    assert outcome.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("option", ["--feeds", "--custom-ops", "--config"])
def test_other_files_that_are_missing(option, ncgopt, dense, tmp_path):
    before = sorted(tmp_path.iterdir())
    outcome = ncgopt("optimize", dense, option, tmp_path / "none")
    assert outcome.code == 66
    assert "none" in outcome.err
    assert sorted(tmp_path.iterdir()) == before
