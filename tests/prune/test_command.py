"""The command line: what is written, what is refused, and with which exit code."""

import json
import sys

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from prune.small import MLP, RESIDUAL, build, head

from ncgopt.errors import ExitCode
from ncgopt_cli.main import invoke


@pytest.fixture
def prune(tmp_path, monkeypatch, capfd):
    """Run `ncgopt prune MODEL ...` on a small network in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / ".git").mkdir()
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x=rng.standard_normal((64, 12)).astype(np.float32))
    onnx.save(MLP, tmp_path / "model.onnx")

    def run(*arguments, model="model.onnx", data="data.npz"):
        given = ["prune", model, *(["--data", data] if data else []), "--measure-seconds", "0", *map(str, arguments)]
        code = invoke(given)
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


def weights(path):
    return {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


@pytest.mark.parametrize("method", ["magnitude", "wanda", "obs"])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_half_of_the_weights(prune, tmp_path, method, scope):
    code, _, err = prune("--method", method, "--scope", scope, "--report", "r.json", "--samples", 64)
    assert code == 0, err
    report = json.loads((tmp_path / "r.json").read_text())
    assert abs(report["sparsity"] - 0.5) < 0.01
    layers = [array for array in weights("model.pruned.onnx").values() if array.ndim == 2]
    assert abs(sum((a == 0).sum() for a in layers) / sum(a.size for a in layers) - 0.5) < 0.01
    ort.InferenceSession("model.pruned.onnx")


def test_pattern_is_met_along_the_inputs(prune):
    code, _, err = prune("--pattern", "2:4")
    assert code == 0, err
    found = [array for array in weights("model.pruned.onnx").values() if array.shape in ((32, 12), (12, 32))]
    rows = found[0] if found[0].shape[1] == 12 else found[0].T
    assert ((rows.reshape(32, 3, 4) != 0).sum(axis=2) <= 2).all()


def test_zeros_bring_no_latency_and_it_says_so(prune):
    code, out, err = prune("--measure-seconds", 0.5)
    assert code == 0, err
    assert "zeros bring no latency" in out


def test_structured(prune, tmp_path):
    onnx.save(RESIDUAL, tmp_path / "conv.onnx")
    np.savez("images.npz", x=np.random.default_rng(0).standard_normal((40, 3, 8, 8)).astype(np.float32))
    code, out, err = prune("--structured", "--metric", "cosine", model="conv.onnx", data="images.npz")
    assert code == 0, err
    assert {array.shape[0] for array in weights("conv.pruned.onnx").values() if array.ndim == 4} == {8}
    assert "->" in out


def test_a_layer_of_its_own_and_one_that_is_kept(prune):
    code, _, err = prune("--layer", "Gemm_0=0.75", "--keep", "w3", "--no-optimize", "--method", "magnitude")
    assert code == 0, err
    found = weights("model.pruned.onnx")
    assert (found["w1"] == 0).mean() == 0.75
    assert (found["w2"] == 0).mean() == 0.5
    assert (found["w3"] != 0).all()


def test_weights_that_are_constant_nodes(prune, tmp_path):
    model = onnx.load("model.onnx")
    for tensor in list(model.graph.initializer):
        model.graph.initializer.remove(tensor)
        model.graph.node.insert(0, onnx.helper.make_node("Constant", [], [tensor.name], value=tensor))
    onnx.save(model, "constants.onnx")
    code, _, err = prune("--method", "magnitude", "--no-optimize", model="constants.onnx")
    assert code == 0, err
    assert (weights("constants.pruned.onnx")["w2"] == 0).mean() == 0.5


def test_steps_end_where_they_should(prune):
    code, _, err = prune("--schedule", "polynomial", "--steps", 3, "--sparsity", "80%", "--no-optimize")
    assert code == 0, err
    assert abs((weights("model.pruned.onnx")["w2"] == 0).mean() - 0.8) < 0.01


def test_the_gate_keeps_a_bad_model_from_being_written(prune, tmp_path):
    code, out, err = prune("--sparsity", 0.95, "--method", "magnitude", "--max-drop", "1%", "--report", "r.json")
    assert code == ExitCode.GATE_NOT_MET
    assert "nothing was written" in err
    assert "curve" in out
    assert not (tmp_path / "model.pruned.onnx").exists()
    assert len(json.loads((tmp_path / "r.json").read_text())["curve"]) == 4


def test_a_metric_of_ones_own(prune, tmp_path):
    (tmp_path / "mine.py").write_text(
        "def score(outputs, labels):\n    return float((outputs['y'].argmax(1) == labels).mean())\n"
    )
    np.save("labels.npy", np.zeros(64, np.int64))
    code, out, err = prune("--metric", "mine:score", "--labels", "labels.npy")
    assert code == 0, err
    assert "mine:score" in out


def test_data_from_a_function(prune, tmp_path):
    (tmp_path / "source.py").write_text(
        "import numpy as np\ndef samples():\n    for k in range(4):\n        yield {'x': np.ones((8, 12), np.float32) * k}\n"
    )
    code, out, err = prune(data="source:samples")
    assert code == 0, err
    assert "on 8 samples" in out


def test_random_data_only_with_a_warning(prune):
    assert prune(data=None)[0] == ExitCode.USAGE
    code, out, err = prune("--synthetic", "--samples", 16, data=None)
    assert code == 0, err
    assert "calibrated on random data" in out


def test_analysis_writes_a_table_a_plot_and_no_model(prune, tmp_path):
    code, out, err = prune("--analyze", "--structured", "--plot", "s.svg", "--report", "s.json", "--samples", 32)
    assert code == 0, err
    assert "Gemm_0" in out
    found = json.loads((tmp_path / "s.json").read_text())["sensitivity"]
    assert [one["weight"] for one in found] == [32, 24]
    errors = [point["error"] for point in found[0]["points"]]
    assert errors == sorted(errors)
    assert (tmp_path / "s.svg").read_text().count("<polyline") == 2
    assert not list(tmp_path.glob("*.pruned.onnx"))


def test_a_plot_as_png(prune, tmp_path, monkeypatch):
    code, _, err = prune("--analyze", "--method", "magnitude", "--plot", "s.png", "--samples", 16)
    assert code == 0, err
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    assert prune("--analyze", "--plot", "s.pdf")[0] == ExitCode.USAGE
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, _, err = prune("--analyze", "--plot", "t.png")
    assert code == ExitCode.UNAVAILABLE
    assert "ncgopt[plot]" in err
    assert err.count("\n") == 1


def test_latency_that_was_asked_for(prune, tmp_path, monkeypatch):
    """Wide enough that the arithmetic is what takes time; measured, so with a margin."""
    monkeypatch.setattr("ncgopt.prune.target._SECONDS", 0.1)
    monkeypatch.setattr("ncgopt.prune.target._LATENCY_ROUNDS", 2)
    wide = build(
        head("float[N, 12] x", "float[N, 5] y")
        + "{ a = MatMul(x, u)  b = Relu(a)  c = MatMul(b, v)  d = Relu(c)  y = MatMul(d, w) }",
        u=(12, 1024),
        v=(1024, 1024),
        w=(1024, 5),
    )
    onnx.save(wide, tmp_path / "wide.onnx")
    given = ["--structured", "--method", "magnitude", "--target-latency", "60%", "--samples", 32]
    code, out, err = prune(*given, "--metric", "mse", model="wide.onnx")
    assert code == 0, err
    found = weights("wide.pruned.onnx")
    share = sum(array.size for array in found.values()) / sum(array.size for array in weights("wide.onnx").values())
    assert 0.2 < share < 0.95
    assert "channels" in out


def test_size_that_was_asked_for(prune, tmp_path):
    code, _, err = prune("--structured", "--target-size", "60%", "--align", 1, "--samples", 32)
    assert code == 0, err
    sizes = [(tmp_path / name).stat().st_size for name in ("model.pruned.onnx", "model.onnx")]
    assert abs(sizes[0] / sizes[1] - 0.6) < 0.03


def test_allocation_by_sensitivity(prune):
    code, out, err = prune("--allocation", "auto", "--samples", 32, "--no-optimize")
    assert code == 0, err
    found = [array for array in weights("model.pruned.onnx").values() if array.ndim == 2]
    shares = [float((array == 0).mean()) for array in found]
    assert max(shares) - min(shares) > 0.02
    assert abs(sum((a == 0).sum() for a in found) / sum(a.size for a in found) - 0.5) < 0.02
    assert "sparsity" in out


def test_sparse_storage(prune):
    code, out, err = prune("--sparsity", 0.9, "--sparse-storage", "--no-optimize")
    assert code == 0, err
    assert "stored sparse" in out
    model = onnx.load("model.pruned.onnx")
    assert model.graph.sparse_initializer
    ort.InferenceSession("model.pruned.onnx")


def test_settings_from_a_file(prune, tmp_path):
    (tmp_path / "ncgopt.toml").write_text('[prune]\nmethod = "magnitude"\nsparsity = 0.25\noptimize = false\n')
    code, out, err = prune()
    assert code == 0, err
    assert "sparsity  0.25" in out


BAD = {
    "sparsity of 1": (["--sparsity", "1"], None, "inside (0, 1)"),
    "sparsity of 0": (["--sparsity", "0"], None, "inside (0, 1)"),
    "negative sparsity": (["--sparsity", "-0.5"], None, "inside (0, 1)"),
    "sparsity that is NaN": (["--sparsity", "nan"], None, "inside (0, 1)"),
    "sparsity that is no number": (["--sparsity", "half"], None, "neither a number"),
    "pattern that does not divide": (["--pattern", "5:7"], None, "does not divide"),
    "pattern that is none": (["--pattern", "4:2"], None, "less than M"),
    "unknown layer": (["--layer", "nothing=0.5"], None, "no layer is called"),
    "everything kept": (["--keep", "*"], None, "--keep"),
    "wrong dtype": ([], {"x": np.zeros((4, 12))}, "float64"),
    "wrong shape": ([], {"x": np.zeros((4, 11), np.float32)}, "shape"),
    "wrong rank": ([], {"x": np.zeros(12, np.float32)}, "shape"),
    "wrong name": ([], {"z": np.zeros((4, 12), np.float32)}, "no array for input x"),
    "one too many": ([], {"x": np.zeros((4, 12), np.float32), "z": np.zeros(1)}, "no input z"),
    "no samples": ([], {"x": np.zeros((0, 12), np.float32)}, "no samples"),
    "nothing at all": ([], {}, "no array for input x"),
    "NaN in the data": ([], {"x": np.full((4, 12), np.nan, np.float32)}, "NaN"),
    "labels that are missing": (["--labels", "label"], {"x": np.zeros((4, 12), np.float32)}, "no array label"),
    "metric that is not there": (["--metric", "nowhere:f"], None, "cannot import"),
    "metric that is NaN": (["--metric", "bad_metric:nan"], None, "nan"),
    "metric that is no number": (["--metric", "bad_metric:text"], None, "failed"),
    "metric that raises": (["--metric", "bad_metric:raises"], None, "oh no"),
    "zeros for latency": (["--target-latency", "0.5"], None, "--structured"),
    "two targets": (["--structured", "--target-latency", "0.5", "--target-size", "0.5"], None, "exclude"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_nothing_is_written(prune, tmp_path, name):
    arguments, arrays, message = BAD[name]
    (tmp_path / "bad_metric.py").write_text(
        "def nan(outputs, labels):\n    return float('nan')\n"
        "def text(outputs, labels):\n    return 'good'\n"
        "def raises(outputs, labels):\n    raise ValueError('oh no')\n"
    )
    sys.modules.pop("bad_metric", None)
    if arrays is not None:
        np.savez("data.npz", **arrays)
    code, _, err = prune(*arguments)
    assert code == ExitCode.USAGE
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("*.pruned.onnx"))


def test_unreadable_files(prune, tmp_path):
    (tmp_path / "broken.npz").write_bytes(b"nothing")
    (tmp_path / "empty").mkdir()
    assert prune(data="missing.npz")[0] == ExitCode.INPUT_UNREADABLE
    assert prune(data="broken.npz")[0] == ExitCode.INPUT_UNREADABLE
    assert prune(data="empty")[0] == ExitCode.USAGE
    assert prune(model="missing.onnx")[0] == ExitCode.INPUT_UNREADABLE
