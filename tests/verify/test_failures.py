"""Results that fail, originals that cannot be judged, files that cannot be read, and children that die."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from ncgopt.errors import InputUnreadable, ModelInvalid, Unavailable
from ncgopt.runtime.process import Worker, WorkerDied
from ncgopt.settings import VerifySettings
from ncgopt.verify import search, verify
from ncgopt.verify.reference import Reference

NEG = "g (float[N] x) => (float[N] y) { y = Neg(x) }"


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ("g (float[N] x) => (float[N] y) { y = odd.Strange(x) }", "the result with optimizations off does not run"),
        (
            "g (float[N] x) => (float[N] y) <int64[1] s = {7}> { y = Reshape(x, s) }",
            "does not run where the original does",
        ),
        ("g (float[N] z) => (float[N] y) { y = Neg(z) }", "no input x"),
        ("g (float[N] x) => (float[N] z) { z = Neg(x) }", "output y is missing"),
        (
            "g (float[N] x) => (float[1,N] y) <int64[1] a = {0}> { n = Neg(x) y = Unsqueeze(n, a) }",
            "output y: shape [1, ",
        ),
        (
            "g (float[N] x) => (double[N] y) { n = Neg(x) y = Cast<to=11>(n) }",
            "output y: dtype float64 instead of float32",
        ),
        (
            "g (float[N] x) => (float[N] y) { z = Sub(x, x) d = Div(z, z) y = Add(x, d) }",
            "like nan where the original has",
        ),
    ],
)
def test_result_that_does_not_do_its_part(check, result, reason):
    outcome = check(NEG, result)
    assert outcome.status == "failed"
    assert reason in outcome.reason


def test_unknown_operator_in_the_original_asks_for_its_library(check):
    outcome = check("g (float[N] x) => (float[N] y) { y = odd.Strange(x) }")
    assert outcome.status == "inconclusive"
    assert "odd::Strange" in outcome.reason
    assert "--custom-ops" in outcome.reason


def test_original_that_refuses_everything(check):
    outcome = check("g (float[2] x) => (float[3] y) <int64[1] s = {3}> { y = Reshape(x, s) }")
    assert outcome.status == "inconclusive"
    assert "refused all data" in outcome.reason


def test_time_is_limited(check):
    text = """g (float[400,400] x) => (float[400,400] y) <int64 n = {100000}, bool go = {1}> {
        y = Loop(n, go, x) <body = b (int64 i, bool c, float[400,400] v) => (bool d, float[400,400] w) {
            d = Identity(c) w = MatMul(v, x) }> }"""
    outcome = check(text, timeout=3.0)
    assert outcome.status == "inconclusive"
    assert "given up after 3 s" in outcome.reason
    assert outcome.seconds < 20


def test_errors_of_the_user_are_raised(check, tmp_path, write):
    path = write(NEG)
    with pytest.raises(InputUnreadable, match="no such file"):
        verify(path, tmp_path / "missing.onnx")
    with pytest.raises(InputUnreadable, match="is a directory"):
        verify(tmp_path, path)
    with pytest.raises(Unavailable, match="Nowhere"):
        check(NEG, providers=("NowhereExecutionProvider",))


def test_files_that_hold_no_whole_model_are_the_users_business(write, worker, tmp_path):
    """One line that says what is wrong with which file, as for `ncgopt.model.load`; never a verdict."""
    good = write("g (float[N,4] x) => (float[N,4] y) { y = MatMul(x, w) }")
    model = onnx.load(good)
    model.graph.initializer.append(numpy_helper.from_array(np.eye(4, dtype=np.float32), "w"))
    onnx.save(model, good)
    empty = tmp_path / "empty.onnx"
    empty.write_bytes(b"")
    torn = tmp_path / "torn.onnx"
    onnx.save(model, torn, save_as_external_data=True, location="w.bin", size_threshold=0)
    (tmp_path / "w.bin").unlink()
    for bad, complaint in ((empty, r"empty\.onnx is empty"), (torn, r"torn\.onnx: .*w\.bin")):
        for pair in ((bad, good), (good, bad)):
            with pytest.raises(InputUnreadable, match=complaint):
                verify(*pair, worker=worker)


def test_contradiction_in_the_original_is_raised_and_in_the_result_a_failure(write, worker):
    good = write("g (float[2] x) => (float[2] y) { y = Add(x, w) }")
    model = onnx.load(good)
    model.graph.initializer.append(numpy_helper.from_array(np.float32([1, 2]), "w"))
    onnx.save(model, good)
    model.graph.initializer[0].dims[0] = 3
    bad = good.with_name("bad.onnx")
    onnx.save(model, bad)
    with pytest.raises(ModelInvalid, match=r"bad\.onnx"):
        verify(bad, good, worker=worker)
    assert verify(good, bad, worker=worker).status == "failed"


class CrashingWorker(Worker):
    """A worker whose child is struck down whenever it is asked something about a model of that name."""

    def __init__(self, when):
        super().__init__()
        self.when = when

    def call(self, function, *args, timeout=None):
        if self.when(function, args):
            return super().call("ctypes:string_at", 0, timeout=timeout)
        return super().call(function, *args, timeout=timeout)


def test_crash_while_loading_the_result_is_its_failure(write):
    with CrashingWorker(lambda function, args: "open_model" in function and "result" in args[1]) as worker:
        outcome = verify(write(NEG), write(NEG, "result"), worker=worker)
    assert outcome.status == "failed"
    assert "native crash" in outcome.reason


def test_crash_of_the_original_on_some_data_is_a_refusal(write, monkeypatch):
    monkeypatch.setattr(search, "_MAX_CRASHES", 2)

    def when(function, args):
        return function.endswith(":attempt") and dict(args[1].binding)["N"] == 3

    with CrashingWorker(when) as worker:
        outcome = verify(write(NEG), write(NEG, "result"), worker=worker)
    assert outcome.status == "passed"
    assert all(run.binding["N"] != 3 for run in outcome.runs)


def test_crash_of_the_original_on_all_data_is_inconclusive(write, monkeypatch):
    monkeypatch.setattr(search, "_MAX_CRASHES", 1)
    with CrashingWorker(lambda function, _: function.endswith(":attempt")) as worker:
        outcome = verify(write(NEG), write(NEG, "result"), VerifySettings(timeout=60), worker=worker)
    assert outcome.status == "inconclusive"
    assert "native crash" in outcome.reason


def test_out_of_memory_as_a_whole_goes_on_by_windows(check, monkeypatch):
    found = Reference.find
    modes = []

    def find(child, path, survey):
        modes.append(child.settings.mode)
        if child.settings.mode == "whole":
            raise WorkerDied("running the original", None, "", memory=1 << 30)
        return found(child, path, survey)

    monkeypatch.setattr(Reference, "find", staticmethod(find))
    outcome = check(NEG)
    assert (outcome.status, modes) == ("passed", ["whole", "window"])
    assert outcome.windows is not None
    assert "by windows: out of memory (1.07 GB)" in outcome.reason
    modes.clear()
    asked = check(NEG, mode="whole")
    assert (asked.status, modes) == ("inconclusive", ["whole"])
