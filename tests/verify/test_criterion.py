"""Errors against float64: what they find that a table does not, what they excuse, and what they must not."""

import warnings

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

import ncgopt
from ncgopt.model.load import from_proto
from ncgopt.report import OutputDifference
from ncgopt.settings import VerifySettings
from ncgopt.verify import verify
from ncgopt.verify.compare import compare_outputs
from ncgopt.verify.criterion import agreement, with_errors
from ncgopt.verify.noise import allow
from ncgopt.verify.precise import NoReference, run_precisely
from ncgopt.verify.precise.kernels import KERNELS
from ncgopt.verify.windows.side import Side

RNG = np.random.default_rng(11)
TRUTH = RNG.standard_normal((4, 50))


def judged(original, result, precise=TRUTH):
    sides = [np.asarray(side, dtype=np.float32) for side in (original, result)]
    return with_errors(compare_outputs(["y"], *([side] for side in sides)), [precise], *([side] for side in sides))[0]


def off(size):
    return TRUTH + size * RNG.uniform(-1, 1, TRUTH.shape)


def test_within_the_table_the_original_says_how_close_a_result_has_to_be():
    assert judged(off(1e-7), off(1e-7)).ok
    assert judged(off(1e-7), off(1e-6)).ok
    far = judged(off(1e-7), off(6e-5))
    assert far.max_abs < far.limit
    assert not far.ok
    assert judged(off(4e-5), off(6e-5)).ok


def test_beyond_the_table_only_a_clearly_better_result_passes_by_itself():
    better = judged(off(1e-1), off(1e-3))
    assert better.ok
    assert better.error < better.own_error / 10
    assert not judged(off(1e-1), off(1e-1)).ok


def test_errors_are_not_made_up():
    nan = off(0)
    nan[0, 0] = np.nan
    assert judged(nan, nan).error is None
    assert judged(off(0), off(0), np.arange(3.0)).error is None


def rows(values):
    return np.asarray(values, dtype=np.float32)


def test_decided_rows_must_agree_and_ties_do_not_count():
    original, result = rows([[1, 5, 2], [3, 3, 1], [9, 0, 0]]), rows([[1, 5, 2.1], [2.9, 3, 1], [0, 9, 0]])
    found = agreement(original, result, OutputDifference("y", 9.0, 9.0, 1e-3, mismatches=4, elements=9))
    assert (found.decided, found.agreeing) == (2, 1)


def test_noise_excuses_no_decision_that_the_original_does_not_turn_itself():
    difference = OutputDifference("y", 3.0, 10.0, 1.0, mismatches=9, elements=9, decided=5, agreeing=3)
    noise = OutputDifference("y", 2.0, 10.0, 1.0, mismatches=9, elements=9, decided=5, agreeing=5)
    assert not allow(difference, [noise]).ok
    assert "2 of 5 rows" in allow(difference, [noise]).detail
    turning = OutputDifference("y", 2.0, 10.0, 1.0, mismatches=9, elements=9, decided=5, agreeing=4)
    assert allow(difference, [turning]).ok


NET = """g (float[N,8] x) => (float[N,8] y) <float k = {%s}, float e = {%s}> {
    m = ReduceMean<axes=[1]>(x) d = Sub(x, m) s = Mul(d, d) v = ReduceMean<axes=[1]>(s) w = Add(v, e)
    r = Sqrt(w) n = Div(d, r) t = Tanh(n) y = Mul(t, k) }"""


def test_a_constant_that_is_slightly_wrong_hides_in_the_table_but_not_from_float64(check):
    outcome = check(NET % ("1.5", "0.00001"), NET % ("1.50005", "0.00001"), opset=17)
    assert outcome.reference == "float64"
    assert outcome.status == "failed"
    assert "away from float64" in outcome.reason


def test_reordered_arithmetic_passes(check):
    text = NET % ("1.5", "0.00001")
    outcome = check(text, text.replace("y = Mul(t, k)", "u = Add(t, t) h = Mul(t, k) i = Sub(h, u) y = Add(i, u)"), 17)
    assert outcome.status == "passed", outcome.reason
    assert outcome.worst.own_error is not None


def batch_normalized(path, variance, bias, rounded=lambda w: w, folded=False, epsilon=1e-12, wrong=0.0):
    """Conv and BatchNormalization with such a variance; the mean is what the Conv's bias is."""
    rng = np.random.default_rng(2)
    weight = (rng.standard_normal((4, 3, 3, 3)) * 1e-5).astype(np.float32)
    scale = np.float32(variance)
    tensors = {
        "w": weight, "b": np.full(4, bias, np.float32), "mean": np.full(4, bias, np.float32),
        "var": np.full(4, scale), "gamma": np.ones(4, np.float32), "beta": np.zeros(4, np.float32),
    }  # fmt: skip
    conv = onnx.helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1])
    norm = onnx.helper.make_node("BatchNormalization", ["c", "gamma", "beta", "mean", "var"], ["y"], epsilon=epsilon)
    nodes = [conv, norm]
    if folded:
        factor = 1 / np.sqrt(np.float64(scale) + epsilon + wrong)
        tensors = {"w": rounded((weight * factor).astype(np.float32)), "b": np.zeros(4, np.float32)}
        conv.output[0] = "y"
        nodes = [conv]
    x, y = (onnx.helper.make_tensor_value_info(n, 1, ["N", c, 8, 8]) for n, c in (("x", 3), ("y", 4)))
    weights = [numpy_helper.from_array(content, name) for name, content in tensors.items()]
    graph = onnx.helper.make_graph(nodes, "g", [x], [y], weights)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_variance_near_zero_is_detected_when_folding_changes_the_result(tmp_path):
    """Of the original's sum only 4 bits reach the output; folded, all do, and the two differ by about 2."""
    original = batch_normalized(tmp_path / "m.onnx", 1e-9, bias=1000.0)
    report = ncgopt.optimize(original, output=tmp_path / "out.onnx")
    assert report.after.operators == {"Conv": 1}
    assert report.rolled_back == []
    found = report.verification
    assert found.status == "passed"
    assert "output y is ill-conditioned" in found.reason
    worst = max((o for run in found.runs for o in run.outputs), key=lambda output: output.max_abs)
    assert 1 < worst.max_abs < 3
    assert worst.own_error > 1
    assert worst.error < 1e-4 * worst.own_error


def test_variance_near_zero_folded_wrongly_fails(tmp_path, worker):
    """The same model where the sum loses nothing: what folding changes by 1.8 is then its own fault."""
    original = batch_normalized(tmp_path / "m.onnx", 1e-9, bias=0.0)
    right = batch_normalized(tmp_path / "right.onnx", 1e-9, bias=0.0, folded=True)
    outcome = verify(original, right, VerifySettings(timeout=120), worker=worker)
    assert outcome.status == "passed"
    assert "ill-conditioned" not in outcome.reason
    wrong = batch_normalized(tmp_path / "wrong.onnx", 1e-9, bias=0.0, folded=True, wrong=4e-9)
    outcome = verify(original, wrong, VerifySettings(timeout=120), worker=worker)
    assert outcome.status == "failed"
    assert max(o.max_abs for run in outcome.runs for o in run.outputs) > 1


# float64 kernels of our own against the outputs that come with onnx's test cases.
OPERATORS = tuple(KERNELS)


@pytest.fixture(scope="module")
def onnx_cases():
    """The cases of onnx's backend test suite, by operator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of onnx's own making
        cases = [case for case in collect_testcases(None) if "expanded" not in case.name]
    return {name: [c for c in cases if [n.op_type for n in c.model.graph.node] == [name]] for name in OPERATORS}


@pytest.mark.parametrize("operator", OPERATORS)
def test_float64_agrees_with_onnxs_own_cases(onnx_cases, operator):
    shown = 0
    for case in onnx_cases[operator]:
        side = Side.of(from_proto(case.model).model)
        feeds, outputs = case.data_sets[0]
        wanted = [value.name for value in case.model.graph.output]
        values = dict(zip((value.name for value in case.model.graph.input), feeds, strict=False))
        try:
            found = run_precisely(side, side.nodes, values, wanted, until=float("inf"))
        except NoReference:
            continue
        shown += 1
        for output, expected in zip(wanted, outputs, strict=False):
            np.testing.assert_allclose(found[output], expected, rtol=2e-6, atol=2e-6, err_msg=case.name)
    assert shown


def test_a_pool_larger_than_what_it_looks_at_has_no_reference(check):
    """ONNX Runtime gives an empty output then; there is no window to look through."""
    text = """g (float[N, 1, 2, 4] x) => (float[N, 1, H, W] y, float[N, 1, 2, 4] z) {
        y = AveragePool<kernel_shape = [3, 2], strides = [3, 2]>(x)  z = Tanh(x) }"""
    outcome = check(text, text, 17)
    assert outcome.status == "passed"
    assert outcome.reference == "a window larger than what it looks at"
