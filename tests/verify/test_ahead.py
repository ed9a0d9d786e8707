"""What a verification learns about the original while the result is still being made is used, or comes to nothing."""

from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path

import onnx
import pytest

from ncgopt.report import Verification
from ncgopt.runtime import Worker, WorkerDied
from ncgopt.settings import VerifySettings
from ncgopt.verify import Ahead, verify

ORIGINAL = """<ir_version: 10, opset_import: ["" : 21]>
g (float[N, 3] x) => (float[N, 3] y) <float[3] k = {1.0, 2.0, 3.0}> { t = Mul(x, k)  y = Relu(t) }"""


def write(path: Path, text: str) -> Path:
    onnx.save(onnx.parser.parse_model(text), path)
    return path


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return write(tmp_path / "original.onnx", ORIGINAL)


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return write(tmp_path / "result.onnx", ORIGINAL.replace("Mul(x, k)", "Mul(k, x)"))


def timeless(outcome: Verification) -> Verification:
    return dataclasses.replace(outcome, seconds=0.0)


def test_the_verdict_is_the_same(original: Path, result: Path):
    settings = VerifySettings()
    with Worker() as worker:
        usual = verify(original, result, settings, worker=worker)
        ahead = Ahead(original, settings, worker)
        assert timeless(verify(original, result, settings, worker=worker, ahead=ahead)) == timeless(usual)
        assert usual.status == "passed"
        assert ahead.take(original, settings)[0] is None


def test_a_wrong_result_is_found(original: Path, tmp_path: Path):
    wrong = write(tmp_path / "wrong.onnx", ORIGINAL.replace("3.0}", "3.5}"))
    with Worker() as worker:
        worker.start()
        ahead = Ahead(original, VerifySettings(), worker)
        assert verify(original, wrong, VerifySettings(), worker=worker, ahead=ahead).status == "failed"


def test_others_use_the_child_at_the_same_time(original: Path, result: Path):
    with Worker() as worker:
        worker.start()
        ahead = Ahead(original, VerifySettings(), worker)
        assert [worker.call("operator:add", k, 1) for k in range(50)] == list(range(1, 51))
        assert verify(original, result, worker=worker, ahead=ahead).status == "passed"


def test_a_child_that_died_in_between_took_it_all_with_it(original: Path, result: Path):
    with Worker() as worker:
        worker.start()
        ahead = Ahead(original, VerifySettings(), worker)
        with pytest.raises(WorkerDied):
            worker.call("os:_exit", 3)
        assert verify(original, result, worker=worker, ahead=ahead).status == "passed"


@pytest.mark.parametrize("other", [VerifySettings(seed=5), None])
def test_it_serves_only_what_it_was_made_for(original: Path, result: Path, other: VerifySettings | None):
    with Worker() as worker:
        worker.start()
        ahead = Ahead(original, VerifySettings(), worker)
        assert ahead.take(original if other else result, other or VerifySettings())[0] is None


def test_it_ends_when_nobody_needs_it(original: Path):
    with Worker() as worker:
        worker.start()
        ahead = Ahead(original, VerifySettings(), worker)
        ahead.stop()
        assert ahead.take(original, VerifySettings())[0] is None


def test_time_that_it_took_is_not_given_again(tmp_path: Path):
    endless = write(
        tmp_path / "endless.onnx",
        """<ir_version: 10, opset_import: ["" : 21]> g (float[3] x) => (float[3] y) {
            more = Constant<value = bool {1}>()
            y = Loop("", more, x) <body = b (int64 i, bool c, float[3] v) => (bool d, float[3] u)
                { d = Identity(c)  u = Sqrt(v) }> }""",
    )
    settings = VerifySettings(timeout=3.0)
    with Worker() as worker:
        worker.start()
        ahead = Ahead(endless, settings, worker)
        start = time.monotonic()
        outcome = verify(endless, endless, settings, worker=worker, ahead=ahead)
        assert outcome.status == "inconclusive"
        assert time.monotonic() - start < 2 * settings.timeout - 0.5
        assert "3 s" in outcome.reason


def test_time_in_which_others_used_the_child_is_given(original: Path, result: Path):
    settings = VerifySettings(timeout=4.0)
    with Worker() as worker:
        worker.call("operator:add", 1, 1)
        other = threading.Thread(target=worker.call, args=("time:sleep", 4.5))
        other.start()
        time.sleep(0.2)
        ahead = Ahead(original, settings, worker)
        assert verify(original, result, settings, worker=worker, ahead=ahead).status == "passed"
        other.join()
