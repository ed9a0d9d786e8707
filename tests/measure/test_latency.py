"""Latency: the slower model is found slower, and what cannot be measured is said."""

import numpy as np
import onnx
import pytest

from ncgopt.errors import Inconclusive, InputUnreadable, Usage
from ncgopt.measure import compare_latency
from ncgopt.settings import VerifySettings


def _chain(path, products):
    """A chain of matrix products; any number of them has the same inputs and outputs."""
    steps = "".join(f"t{k + 1} = MatMul(t{k}, w) " for k in range(products))
    text = f"g (float[N, 256] t0) => (float[N, 256] y) {{ {steps} y = Identity(t{products}) }}"
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]> {text}')
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.eye(256, dtype=np.float32), "w"))
    onnx.save(model, path)
    return path


def test_ten_times_the_work_takes_longer(tmp_path):
    long, short = _chain(tmp_path / "long.onnx", 20), _chain(tmp_path / "short.onnx", 2)
    found = compare_latency([long, short], VerifySettings(bind={"N": 64}), rounds=15)
    assert found.ratio is not None
    assert found.ratio > 3  # 10 on an idle machine
    assert found.rounds == 15
    assert found.binding == {"N": 64}
    assert all(0 < one.minimum <= one.median for one in found.models)


def test_one_model_has_no_ratio(tmp_path):
    found = compare_latency([_chain(tmp_path / "a.onnx", 1)], VerifySettings(), rounds=3)
    assert found.ratio is None
    assert [one.model for one in found.models] == [str(tmp_path / "a.onnx")]


def test_own_feeds_decide_the_sizes(tmp_path):
    np.savez(tmp_path / "mine.npz", t0=np.zeros((7, 256), np.float32))
    settings = VerifySettings(feeds=(tmp_path / "mine.npz",))
    found = compare_latency([_chain(tmp_path / "a.onnx", 1)], settings, rounds=3)
    assert (found.data, found.binding) == ("mine.npz", {"N": 7})


def test_two_files_of_feeds_make_no_sense(tmp_path):
    with pytest.raises(Usage, match="one file of feeds"):
        compare_latency([tmp_path / "a.onnx"], VerifySettings(feeds=(tmp_path / "x", tmp_path / "y")))


def test_a_missing_model(tmp_path):
    with pytest.raises(InputUnreadable):
        compare_latency([_chain(tmp_path / "a.onnx", 1), tmp_path / "none.onnx"], VerifySettings())


def test_a_model_that_nothing_can_run(tmp_path):
    text = '<ir_version: 10, opset_import: ["" : 21, "my" : 1]> g (float[N] x) => (float[N] y) { y = my.Foo(x) }'
    onnx.save(onnx.parser.parse_model(text), tmp_path / "a.onnx")
    with pytest.raises(Inconclusive, match=r"my.Foo"):
        compare_latency([tmp_path / "a.onnx"], VerifySettings())
