"""Comparison by windows: what it proves, what it takes for wrong, and what it does not mistake for that."""

import dataclasses

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import ncgopt
from ncgopt.settings import VerifySettings
from ncgopt.verify import memory, verify
from ncgopt.verify.windows.side import Side
from ncgopt.verify.windows.stream import Stream

WINDOW = VerifySettings(mode="window", timeout=120.0)


@pytest.fixture
def by_windows(check):
    """Verify one text against another, by windows."""

    def by_windows(original, result=None, **settings):
        return check(original, result, mode="window", **settings)

    return by_windows


DEEP = """g (float[N,4] x) => (float[N,4] y) <float one = {1}> {
    a = Tanh(x) b = Exp(a) c = Add(b, one) d = Sqrt(c) e = Sub(d, a) f = Sigmoid(e) y = Softmax<axis=1>(f) }"""


def test_equal_graphs_need_no_window(by_windows):
    outcome = by_windows(DEEP)
    assert outcome.status == "passed"
    assert (outcome.windows.unchanged, outcome.windows.windows) == (7, 0)
    assert outcome.runs == ()


@pytest.mark.parametrize(
    ("original", "result"),
    [
        # Other operators, the same function.
        ("t = Neg(x) u = Abs(t) y = Exp(u)", "u = Abs(x) y = Exp(u)"),
        ("t = Neg(x) u = Neg(t) y = Exp(u)", "y = Exp(x)"),
        # Written twice there, shared here, and read under the other's name.
        ("a = Exp(x) b = Exp(x) c = Neg(a) d = Abs(b) y = Add(c, d)", "a = Exp(x) c = Neg(a) d = Abs(a) y = Add(c, d)"),
        ("a = Exp(x) b = Exp(x) c = Neg(a) d = Abs(b) y = Add(c, d)", "b = Exp(x) c = Neg(b) d = Abs(b) y = Add(c, d)"),
        ("a = Exp(x) b = Identity(a) c = Neg(a) y = Mul(b, c)", "b = Exp(x) c = Neg(b) y = Mul(b, c)"),
        # The output is computed by what was in the middle.
        ("t = Exp(x) y = Identity(t) z = Neg(t)", "y = Exp(x)"),
        # Sizes that are asked for in two ways.
        (
            "s = Shape(x) t = Exp(x) u = Reshape(t, s) y = Neg(u)",
            "t = Exp(x) s = Shape(t) u = Reshape(t, s) y = Neg(u)",
        ),
    ],
)
def test_same_function_passes(by_windows, original, result):
    outcome = by_windows(*(f"g (float[N,4] x) => (float[N,4] y) {{ {body} }}" for body in (original, result)))
    assert outcome.status == "passed", outcome.reason
    assert outcome.windows.own_data_only == ()
    assert outcome.windows.dropped == ()


def test_what_holds_for_facts_from_further_up_passes_in_a_larger_window(by_windows):
    body = "a = Neg(x) s = Sigmoid(a) t = Sqrt(s) "
    outcome = by_windows(
        f"g (float[N,4] x) => (float[N,4] y) {{ {body} u = Relu(t) y = Neg(u) }}",
        f"g (float[N,4] x) => (float[N,4] y) {{ {body} y = Neg(t) }}",
    )
    assert outcome.status == "passed", outcome.reason
    assert outcome.windows.grown == 1
    assert outcome.windows.own_data_only == ()


def test_another_value_under_an_old_name_is_no_anchor(by_windows):
    outcome = by_windows(
        "g (float[N,4] x) => (float[N,4] y) { t = Neg(x) u = Exp(t) v = Neg(u) y = Abs(v) }",
        "g (float[N,4] x) => (float[N,4] y) { t = Abs(x) u = Neg(x) v = Exp(u) y = Identity(v) }",
    )
    assert outcome.status == "passed", outcome.reason
    assert set(outcome.windows.dropped) == {"u", "v"}


@pytest.mark.parametrize(
    ("wrong", "value"),
    [
        # Too little to be seen at the output, behind Sigmoid and Softmax.
        (DEEP.replace("one = {1}", "one = {1.0005}"), "c"),
        (DEEP.replace("e = Sub(d, a)", "e = Sub(a, d)"), "e"),
        (DEEP.replace("a = Tanh(x)", "a = Relu(x)"), "a"),
        (DEEP.replace("<axis=1>", "<axis=0>"), "y"),
        # Right for what an Exp gives, and for nothing else; but Exp gives nothing else, see below.
        (DEEP.replace("b = Exp(a)", "q = Exp(a) b = Floor(q)"), "b"),
    ],
)
def test_one_wrong_node_is_found_and_named(by_windows, wrong, value):
    outcome = by_windows(DEEP, wrong)
    assert outcome.status == "failed"
    assert outcome.reason.startswith(f"value {value}, computed by")


def test_right_for_one_size_only_is_found(by_windows):
    outcome = by_windows(
        "g (float[N,4] x) => (float[P] y) <int64[1] s = {-1}> { t = Exp(x) u = Reshape(t, s) y = Neg(u) }",
        "g (float[N,4] x) => (float[P] y) <int64[1] s = {4}> { t = Exp(x) u = Reshape(t, s) y = Neg(u) }",
    )
    assert outcome.status == "failed"
    assert "does not run where the original's does" in outcome.reason


def test_data_that_the_model_never_shows_are_made_up(by_windows):
    """What goes into Relu is above 0 on all inputs; the window around Relu alone is tried with negative values too."""
    body = "<float[4] big = {900, 900, 900, 900}> { a = Add(x, big) b = Neg(a)"
    outcome = by_windows(
        f"g (float[N,4] x) => (float[N,4] y) {body} c = Relu(a) y = Mul(c, b) }}",
        f"g (float[N,4] x) => (float[N,4] y) {body} c = Identity(a) y = Mul(c, b) }}",
    )
    assert outcome.status == "passed", outcome.reason  # nothing near -900 is tried as an input
    assert outcome.windows.grown == 1


def test_folded_constants_and_branches_have_windows(by_windows):
    outcome = by_windows(
        """g (float[N,4] x) => (float[N,4] y) <float[4] k = {1, 2, 3, 4}, bool c = {1}> {
            e = Exp(k) t = Mul(x, e) y = If(c) <then_branch = a () => (float[N,4] p) { p = Neg(t) },
            else_branch = b () => (float[N,4] q) { q = Exp(t) }> }""",
        f"""g (float[N,4] x) => (float[N,4] y)
            <float[4] e = {{{", ".join(f"{np.exp(np.float32(k)):.9g}" for k in (1, 2, 3, 4))}}}> {{
            t = Mul(x, e) y = Neg(t) }}""",
    )
    assert outcome.status == "passed", outcome.reason
    assert outcome.windows.windows == 2


def test_random_nodes_are_compared_by_shape(by_windows):
    text = """g (float[N,4] x) => (float[N,4] y) { r = RandomNormalLike(x) t = Add(x, r) n = Neg(t) y = Neg(n) }"""
    right = by_windows(text, text.replace("n = Neg(t) y = Neg(n)", "y = Identity(t)"))
    assert right.status == "passed", right.reason
    assert by_windows(text, text.replace("n = Neg(t) y = Neg(n)", "y = Neg(t)")).status == "failed"


@pytest.fixture
def large(tmp_path):
    """A chain of products with weights of 64 kB each beside the model; `wrong` is scaled."""

    def large(name, count=12, wrong=None, neg=()):
        rng = np.random.default_rng(3)
        nodes, weights, last = [], [], "x"
        for at in range(count):
            content = rng.standard_normal((128, 128)).astype(np.float32) / 11
            weights.append(numpy_helper.from_array(content * np.float32(1.002 if at == wrong else 1), f"w{at}"))
            nodes.append(onnx.helper.make_node("MatMul", [last, f"w{at}"], [f"m{at}"]))
            inner = [("Neg", "Neg")] if at in neg else []
            for first, second in inner:
                nodes.append(onnx.helper.make_node(first, [f"m{at}"], [f"p{at}"]))
                nodes.append(onnx.helper.make_node(second, [f"p{at}"], [f"q{at}"]))
            nodes.append(onnx.helper.make_node("Tanh", [f"q{at}" if inner else f"m{at}"], [f"t{at}"]))
            last = f"t{at}"
        x, y = (onnx.helper.make_tensor_value_info(n, 1, ["N", 128]) for n in ("x", last))
        graph = onnx.helper.make_graph(nodes, "g", [x], [y], weights)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
        path = tmp_path / f"{name}.onnx"
        onnx.save(model, path, save_as_external_data=True, location=f"{name}.data", size_threshold=0)
        return path

    return large


def test_pieces_compute_what_the_whole_computes(large):
    side = Side.load(large("original"))
    feeds = {"x": np.random.default_rng(1).standard_normal((3, 128)).astype(np.float32)}
    whole = Stream(side, 1 << 30, WINDOW).run(feeds)
    pieces = Stream(side, 150_000, WINDOW)
    assert pieces.pieces == 6
    np.testing.assert_array_equal(pieces.run(feeds)[0], whole[0])


def test_small_pieces_show_the_same(large, worker):
    settings = dataclasses.replace(WINDOW, piece_bytes=100_000)
    original = large("original", neg=(2, 5, 9))
    outcome = verify(original, large("result"), settings, worker=worker)
    assert outcome.status == "passed", outcome.reason
    assert outcome.windows.windows == 3
    outcome = verify(original, large("wrong", wrong=7), settings, worker=worker)
    assert outcome.status == "failed"
    assert "value m7, computed by MatMul," in outcome.reason


def test_a_window_that_does_not_fit_proves_nothing(large, worker):
    settings = dataclasses.replace(WINDOW, piece_bytes=20_000)
    outcome = verify(large("original"), large("wrong", wrong=7), settings, worker=worker)
    assert outcome.status == "inconclusive"
    assert "more weights than fit" in outcome.reason


def test_auto_takes_windows_where_the_whole_does_not_fit(large, worker, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1_000_000)
    outcome = verify(large("original"), large("result"), VerifySettings(timeout=120.0), worker=worker)
    assert outcome.status == "passed"
    assert outcome.windows is not None
    assert "compared by windows: 0.0 GB to run" in outcome.reason
    monkeypatch.setattr(memory, "available", lambda: 10_000_000)
    assert verify(large("original"), large("result"), VerifySettings(timeout=120.0), worker=worker).windows is None


def test_optimize_by_windows(large, tmp_path):
    report = ncgopt.optimize(
        large("original", neg=(1, 4)), ncgopt.Settings(verification=WINDOW), output=tmp_path / "out.onnx"
    )
    assert report.verification.status == "passed", report.verification.reason
    assert report.verification.windows.windows == 2
