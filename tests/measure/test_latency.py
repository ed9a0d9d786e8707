"""Latency: the slower model is found slower, and what cannot be measured is said."""

import numpy as np
import onnx
import pytest

from ncgopt.errors import Inconclusive, InputUnreadable, Usage
from ncgopt.measure import Effort, compare_latency
from ncgopt.settings import VerifySettings

QUICK = Effort(runs=12, processes=1)


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
    found = compare_latency([long, short], VerifySettings(bind={"N": 64}), effort=QUICK)
    assert found.ratio is not None
    assert found.ratio.value > 3  # 10 on an idle machine
    assert found.ratio.low <= found.ratio.value <= found.ratio.high
    assert found.verdict == "faster"
    assert found.binding == {"N": 64}
    assert all(0 < one.minimum <= one.p50 <= one.p90 <= one.p95 <= one.p99 for one in found.models)
    assert all(one.load > 0 and one.runs >= 12 for one in found.models)


def test_two_processes_measure_each_model(tmp_path):
    found = compare_latency([_chain(tmp_path / "a.onnx", 1)] * 2, VerifySettings(), effort=Effort(runs=8, processes=2))
    assert [one.runs for one in found.models] == [8, 8]
    assert found.ratio is not None
    assert found.ratio.pairs == 8


def test_one_model_has_no_ratio(tmp_path):
    found = compare_latency([_chain(tmp_path / "a.onnx", 1)], VerifySettings(), effort=QUICK)
    assert (found.ratio, found.verdict, found.load_ratio, found.profile) == (None, "", None, None)
    assert [one.model for one in found.models] == [str(tmp_path / "a.onnx")]


def test_a_profile_counts_what_the_model_does(tmp_path):
    model = _chain(tmp_path / "a.onnx", 3)
    proto = onnx.load(model)
    for number, node in enumerate(proto.graph.node):
        node.name = f"node {number}"
    onnx.save(proto, model)
    found = compare_latency([model], VerifySettings(bind={"N": 64}), effort=QUICK, profile=True).profile
    assert found is not None
    products = [kernel for kernel in found.kernels[0] if kernel.operator == "MatMul"]
    assert [kernel.flops for kernel in products] == [2 * 64 * 256 * 256] * 3
    assert all(kernel.calls == 1 and kernel.shapes == "64x256 256x256" for kernel in products)
    assert found.machine > 1e8


def test_own_feeds_decide_the_sizes(tmp_path):
    np.savez(tmp_path / "mine.npz", t0=np.zeros((7, 256), np.float32))
    settings = VerifySettings(feeds=(tmp_path / "mine.npz",))
    found = compare_latency([_chain(tmp_path / "a.onnx", 1)], settings, effort=QUICK)
    assert (found.data, found.binding) == ("mine.npz", {"N": 7})


def test_two_files_of_feeds_make_no_sense(tmp_path):
    settings = VerifySettings(feeds=(tmp_path / "x", tmp_path / "y"))
    with pytest.raises(Usage, match="one file of feeds"):
        compare_latency([_chain(tmp_path / "a.onnx", 1)], settings)


def test_a_missing_model(tmp_path):
    with pytest.raises(InputUnreadable):
        compare_latency([_chain(tmp_path / "a.onnx", 1), tmp_path / "none.onnx"], VerifySettings())


def _foreign(path, kind="float"):
    text = f'<ir_version: 10, opset_import: ["" : 21, "my" : 1]> g ({kind}[N,256] t0) => ({kind}[N,256] y)'
    onnx.save(onnx.parser.parse_model(text + " { y = my.Foo(t0) }"), path)
    return path


def test_a_model_that_nothing_can_run(tmp_path):
    with pytest.raises(Inconclusive, match=r"a.onnx.*my.Foo"):
        compare_latency([_foreign(tmp_path / "a.onnx")], VerifySettings())


def test_the_second_model_is_named_where_it_does_not_load(tmp_path):
    good, bad = _chain(tmp_path / "good.onnx", 1), _foreign(tmp_path / "bad.onnx")
    with pytest.raises(Inconclusive, match=r"bad.onnx: cannot be measured: .*my.Foo"):
        compare_latency([good, bad], VerifySettings(), effort=QUICK)
