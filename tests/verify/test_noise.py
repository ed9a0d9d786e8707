"""How far the original's own noise excuses a result."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from ncgopt.report import OutputDifference
from ncgopt.runtime.process import Worker
from ncgopt.settings import VerifySettings
from ncgopt.verify import verify
from ncgopt.verify.noise import allow
from ncgopt.verify.nudge import nudged


def floats(max_abs, limit=1.0):
    return OutputDifference("y", max_abs, 10.0, limit, mismatches=1, elements=100)


def flips(count):
    return OutputDifference("y", 7.0 if count else 0.0, 10.0, 0.0, mismatches=count, elements=100)


def odd(count, what="2 values like nan where the original has 1"):
    return OutputDifference("y", 0.0, 1.0, 0.0, what, mismatches=count, elements=100)


SHAPE = odd(0, "shape [3] instead of [2]")


def test_within_the_limit_nothing_changes():
    assert allow(floats(0.5), [floats(3.0)]) == floats(0.5)


def test_limit_becomes_twice_the_noise():
    assert allow(floats(5.9), [floats(0.1), floats(3.0)]).ok
    assert not allow(floats(6.1), [floats(0.1), floats(3.0)]).ok
    assert allow(floats(5.9), [floats(3.0)]).noise == 3.0


@pytest.mark.parametrize("noise", [[], [floats(0.0)], [floats(0.4)], [odd(9)]])
def test_without_noise_the_table_stands(noise):
    assert not allow(floats(1.1), noise).ok


def test_ties_may_flip_as_often_as_the_original_flips_itself():
    assert allow(flips(2), [flips(1)]).ok
    assert not allow(flips(3), [flips(1)]).ok
    assert not allow(flips(1), [flips(0)]).ok


def test_nan_pattern_may_change_only_where_optimizing_the_original_changes_it_as_much():
    assert allow(odd(2), [odd(1)], optimizing=odd(1)).ok
    assert not allow(odd(3), [odd(1)], optimizing=odd(1)).ok
    assert not allow(odd(1), [odd(1)], optimizing=None).ok
    assert not allow(odd(1), [floats(0.0), odd(1)], optimizing=floats(0.0)).ok


def test_shape_may_change_only_where_optimizing_the_original_changes_it():
    assert allow(SHAPE, [SHAPE], optimizing=SHAPE).ok
    assert not allow(SHAPE, [SHAPE], optimizing=None).ok
    assert not allow(SHAPE, [odd(1)], optimizing=odd(1)).ok
    assert not allow(odd(0, "dtype float64 instead of float32"), [SHAPE], optimizing=SHAPE).ok


@pytest.fixture
def variants(write):
    """Write one graph several times, with other contents of its weights."""

    def variants(text, **weights):
        def at(name, **others):
            path = write(text, name)
            model = onnx.load(path)
            for key, content in (weights | others).items():
                model.graph.initializer.append(numpy_helper.from_array(content, key))
            onnx.save(model, path)
            return path

        return at

    return variants


RNG = np.random.default_rng(5)
W = RNG.standard_normal((32, 32)).astype(np.float32)
V = RNG.standard_normal((32, 32)).astype(np.float32)


@pytest.fixture
def difference(variants):
    """Two products that are equal but for a few bits of their weights, subtracted.

    Whole numbers as input have no last bit to move, and nothing here is for optimizations to reorder:
    only the weights' own rounding shows how ill-conditioned it is.
    """
    text = "g (int64[N,32] i) => (float[N,32] y) { x = Cast<to=1>(i) a = MatMul(x, w) b = MatMul(x, v) y = Sub(a, b) }"
    return variants(text, w=W, v=(W * np.float32(1 + 2e-5)))


def test_rerounded_weights_are_excused_where_the_model_amplifies_their_last_bit(difference, worker):
    outcome = verify(
        difference("original"), difference("result", w=nudged(W, np.random.default_rng(77))), worker=worker
    )
    assert outcome.status == "passed", outcome.reason
    assert "ill-conditioned" in outcome.reason
    assert outcome.worst.noise > 0


@pytest.mark.parametrize("factor", [1.01, 1.00001])
def test_the_same_model_does_not_excuse_a_weight_that_is_wrong(difference, worker, factor):
    outcome = verify(difference("original"), difference("result", w=W * np.float32(factor)), worker=worker)
    assert outcome.status == "failed"
    assert 0 < outcome.worst.noise < outcome.worst.max_abs / 2


@pytest.fixture
def network(variants):
    text = """g (float[N,32] x) => (float[N,32] y) {
        a = MatMul(x, w) r = Relu(a) b = MatMul(r, v) y = Add(b, c) }"""
    return variants(text, w=W, v=V, c=W[0])


@pytest.mark.parametrize(
    "wrong", [{"w": W * np.float32(1.01)}, {"v": V * np.float32(1.01)}, {"c": W[0] * np.float32(1.01)}, {"v": V.T}]
)
def test_well_conditioned_model_excuses_nothing(network, worker, wrong):
    assert verify(network("original"), network("result", w=nudged(W, RNG)), worker=worker).status == "passed"
    outcome = verify(network("original"), network("result", **wrong), worker=worker)
    assert outcome.status == "failed"
    assert outcome.worst.noise < 1e-5 * outcome.worst.scale
    assert outcome.worst.limit < 1e-3 * outcome.worst.scale


class CrashingWorker(Worker):
    """Dies whenever the original's noise is about to be measured."""

    def call(self, function, *args, timeout=None):
        if function.endswith(":write_nudged"):
            return super().call("ctypes:string_at", 0, timeout=timeout)
        return super().call(function, *args, timeout=timeout)


def test_crash_while_measuring_excuses_nothing_and_costs_no_answer(difference):
    with CrashingWorker() as worker:
        outcome = verify(
            difference("original"), difference("result", w=W * np.float32(1.01)), VerifySettings(draws=1), worker=worker
        )
    assert outcome.status == "failed"
    assert {run.level for run in outcome.runs} == {"disable-all", "enable-all"}
