"""Whole verifications of tiny models: what passes, what fails, what cannot be decided, and what is said."""

import copy

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from ncgopt.errors import Usage
from ncgopt.verify import verify

NEG = "g (float[N] x) => (float[N] y) { y = Neg(x) }"


def bindings(outcome):
    return [dict(run.binding) for run in outcome.runs if run.level == "disable-all"]


def test_same_function_passes_at_both_levels_with_two_sizes(check):
    outcome = check(NEG, "g (float[N] x) => (float[N] y) <float m = {-1}> { y = Mul(x, m) }")
    assert outcome.status == "passed"
    assert outcome.reason == ""
    assert {run.level for run in outcome.runs} == {"disable-all", "enable-all"}
    sizes = {binding["N"] for binding in bindings(outcome)}
    assert {1, 3} <= sizes
    assert len({run.source for run in outcome.runs}) >= 2
    assert outcome.worst.output == "y"
    assert outcome.interface == ()


def test_other_function_fails_and_names_output_and_distance(check):
    outcome = check(NEG, "g (float[N] x) => (float[N] y) <float m = {-1.01}> { y = Mul(x, m) }")
    assert outcome.status == "failed"
    assert "output y: differs by" in outcome.reason
    assert "N=" in outcome.reason
    assert outcome.worst.max_abs > outcome.worst.limit


@pytest.mark.parametrize(
    ("original", "result"),
    [
        # Right for one size only.
        (
            "g (float[N] x) => (float[P] y) <int64[1] s = {-1}> { y = Reshape(x, s) }",
            "g (float[N] x) => (float[P] y) <int64[1] s = {1}> { y = Reshape(x, s) }",
        ),
        # Right for square inputs only.
        (
            "g (float[A,B] x) => (int64[2] y) { y = Shape(x) }",
            "g (float[A,B] x) => (int64[2] y) <int64[2] p = {1,0}> { s = Shape(x) y = Gather(s, p) }",
        ),
        # Right while every element of the mask is 1.
        (
            "g (int64[1,6] mask, float[1,6] x) => (float[1,6] y) { f = Cast<to=1>(mask) y = Mul(x, f) }",
            "g (int64[1,6] mask, float[1,6] x) => (float[1,6] y) { y = Identity(x) }",
        ),
        # Right for values that need no clipping.
        (
            "g (float[50] x) => (float[50] y) <float l = {-4}, float h = {4}> { y = Clip(x, l, h) }",
            "g (float[50] x) => (float[50] y) { y = Identity(x) }",
        ),
        # Wrong for one of two constants that the graph knows.
        (
            "g (int64 sr, float[4] x) => (float[4] y) <int64 k = {8000}> "
            "{ c = Equal(sr, k) n = Neg(x) y = Where(c, n, x) }",
            "g (int64 sr, float[4] x) => (float[4] y) { y = Identity(x) }",
        ),
        # Wrong in one branch.
        (
            "g (bool c, float[2] x) => (float[2] y) { y = If(c) <then_branch = t () => (float[2] p) { p = Neg(x) },"
            " else_branch = e () => (float[2] q) { q = Exp(x) }> }",
            "g (bool c, float[2] x) => (float[2] y) { y = Exp(x) }",
        ),
        # Wrong for the last row of a table only.
        (
            "g (int64[9] x) => (float[9] y) <float[4] t = {1, 2, 3, 4}> { y = Gather(t, x) }",
            "g (int64[9] x) => (float[9] y) <float[4] t = {1, 2, 3, 5}> { y = Gather(t, x) }",
        ),
        # Another length of a sequence.
        (
            "g (seq(float[N]) s) => (float[P] y) { y = ConcatFromSequence<axis=0>(s) }",
            "g (seq(float[N]) s) => (float[P] y) <int64 z = {0}> { y = SequenceAt(s, z) }",
        ),
        # An optional that is always taken for present.
        (
            "g (optional(float[2]) o) => (bool h) { h = OptionalHasElement(o) }",
            "g (optional(float[2]) o) => (bool h) { a = OptionalHasElement(o) b = Not(a) h = Or(a, b) }",
        ),
        (
            "g (string[N] w) => (string[N] y) { y = Identity(w) }",
            'g (string[N] w) => (string[N] y) { y = StringNormalizer<case_change_action="UPPER">(w) }',
        ),
    ],
)
def test_data_shows_what_only_some_data_shows(check, original, result):
    assert check(original).status == "passed"
    assert check(original, result).status == "failed"


def test_an_output_that_is_seldom_finite_does_not_hide_the_others(check):
    """z is finite only where no x is negative; y is wrong only where one is."""
    text = "g (float[N, 6] x) => (float[N, 6] y, float[N, 6] z) { %s  r = Relu(x)  n = Neg(r)  z = Reciprocal(n) }"
    assert check(text % "y = Tanh(x)").status == "passed"
    outcome = check(text % "y = Tanh(x)", text % "p = Relu(x)  y = Tanh(p)")
    assert outcome.status == "failed"
    assert "output y" in outcome.reason


def test_dimensions_that_depend_on_each_other(check):
    text = """g (float[batch,past,2] p, float[batch,new,2] n, float[batch,total] m) => (float[batch,total,2] y)
        <int64[1] a = {2}> { c = Concat<axis=1>(p, n) u = Unsqueeze(m, a) y = Mul(c, u) }"""
    outcome = check(text)
    assert outcome.status == "passed"
    assert all(b["total"] == b["past"] + b["new"] or b["total"] == 1 for b in bindings(outcome))
    assert all(len({b[name] for b in bindings(outcome)}) >= 2 for name in ("batch", "past", "new", "total"))


def test_multiples_that_a_reshape_demands(check):
    text = "g (float[N,H] x) => (float[N,P,8] y) <int64[3] s = {0, -1, 8}> { y = Reshape(x, s) }"
    outcome = check(text)
    assert outcome.status == "passed"
    assert all(binding["H"] % 8 == 0 for binding in bindings(outcome))
    assert all(len({binding[name] for binding in bindings(outcome)}) >= 2 for name in "NH")


def test_one_size_only_is_said(check):
    text = "g (float[1,K] x) => (float[1,3] y) <int64[2] s = {5, 3}> { w = ConstantOfShape(s) y = MatMul(x, w) }"
    outcome = check(text)
    assert outcome.status == "passed"
    assert "only one size found for K=5" in outcome.reason


def test_pinned_dimension_is_not_varied(check):
    assert {binding["N"] for binding in bindings(check(NEG, bind={"N": 6}))} == {6}
    with pytest.raises(Usage, match="no symbolic dimension M"):
        check(NEG, bind={"M": 6})


def test_overridable_default_must_not_be_baked_in(write, worker):
    path = write("g (float[2] x, float[2] w) => (float[2] y) { y = Mul(x, w) }")
    model = onnx.load(path)
    model.graph.initializer.append(numpy_helper.from_array(np.float32([2, 3]), "w"))
    onnx.save(model, path)
    outcome = verify(path, path, worker=worker)
    assert outcome.status == "passed"
    assert any("overriding w" in run.source for run in outcome.runs)
    baked = path.with_name("baked.onnx")
    model.graph.node[0].input[1] = "copy"
    model.graph.initializer.append(numpy_helper.from_array(np.float32([2, 3]), "copy"))
    onnx.save(model, baked)
    assert verify(path, baked, worker=worker).status == "failed"


def test_random_outputs_are_compared_by_shape(check):
    text = "g (float[4] x) => (float[4] r, float[4] y) { r = RandomNormalLike(x) y = Neg(x) }"
    outcome = check(text)
    assert outcome.status == "passed"
    assert "random outputs" in outcome.reason
    assert "r" in outcome.reason.rpartition(":")[2]
    assert check(text, text.replace("Neg", "Exp")).status == "failed"
    shorter = "g (float[4] x) => (float[P] r, float[4] y) <int64[1] h = {2}, int64[1] z = {0}> { n = RandomNormalLike(x) r = Slice(n, z, h) y = Neg(x) }"
    assert check(text, shorter).status == "failed"


def test_nan_everywhere_passes_but_is_said(check):
    outcome = check("g (float[2] x) => (float[2] y) { z = Sub(x, x) y = Div(z, z) }")
    assert outcome.status == "passed"
    assert "NaN" in outcome.reason


def test_outputs_that_data_does_not_change_are_said(check):
    outcome = check("g (float[2,3] x) => (int64[2] y) { y = Shape(x) }")
    assert outcome.status == "passed"
    assert "did not depend on the data" in outcome.reason


def test_ill_conditioned_model_gets_twice_its_own_noise_and_no_more(check):
    """sin(1e6 x): the last bit of x decides the second digit of y, and so does the order of multiplying."""
    text = "g (float[64] x) => (float[64] y) <float a = {1000.3}, float b = {999.7}> { %s y = Sin(t) }"
    original = text % "s = Mul(x, a) t = Mul(s, b)"
    outcome = check(original, text % "s = Mul(x, b) t = Mul(s, a)")
    assert outcome.status == "passed"
    assert "ill-conditioned" in outcome.reason
    assert "says little" not in outcome.reason  # on small data it does say something
    assert outcome.worst.noise > 0
    assert check(original, text % "s = Mul(x, a) t = Add(s, b)").status == "failed"


def test_chaotic_output_is_said_to_prove_little(check):
    text = "g (float[64] x) => (float[64] y) <float a = {100030.1}, float b = {99970.3}> { %s y = Sin(t) }"
    outcome = check(text % "s = Mul(x, a) t = Mul(s, b)", text % "s = Mul(x, b) t = Mul(s, a)")
    assert outcome.status == "passed"
    assert "says little" in outcome.reason


def test_tie_is_no_excuse_for_another_answer(check):
    text = "g (float[1,9] x) => (int64[1,1] y) { y = %s<axis=1>(x) }"
    assert check(text % "ArgMax").status == "passed"
    assert check(text % "ArgMax", text % "ArgMin").status == "failed"


def test_user_feeds_are_used_and_checked(check, tmp_path):
    feeds = tmp_path / "mine.npz"
    np.savez(feeds, x=np.float32([1, 2, 3, 4]))
    outcome = check(NEG, feeds=(feeds,))
    assert {"N": 4} in [dict(run.binding) for run in outcome.runs if run.source == "mine.npz"]
    only_there = "g (float[N] x) => (float[N] y) <float k = {1000}> { y = %s }"
    np.savez(feeds, x=np.float32([5000]))
    clipped = only_there % "Min(x, k)"
    assert check(clipped, only_there % "Identity(x)", feeds=(feeds,)).status == "failed"
    np.savez(feeds, other=np.float32([1]))
    with pytest.raises(Usage, match="no input other"):
        check(NEG, feeds=(feeds,))


def test_user_feeds_rescue_a_model_that_takes_no_generated_data(check, tmp_path):
    feeds = tmp_path / "mine.npz"
    np.savez(feeds, x=np.int64([1234560]))
    text = """g (int64[1] x) => (float[P] y) <int64[1] s = {1234567}, int64 seven = {7}> {
        m = Add(x, seven) t = ConstantOfShape(s) y = Reshape(t, m) }"""
    assert check(text).status == "inconclusive"
    assert check(text, feeds=(feeds,)).status == "passed"


def test_bfloat16_and_float16(check):
    for dtype in ("bfloat16", "float16"):
        text = f"g ({dtype}[N] x) => ({dtype}[N] y) {{ y = Identity(x) }}"
        assert check(text).status == "passed"
    wrong = "g (bfloat16[N] x) => (bfloat16[N] y) { f = Cast<to=1>(x) n = Neg(f) y = Cast<to=16>(n) }"
    assert check("g (bfloat16[N] x) => (bfloat16[N] y) { y = Identity(x) }", wrong).status == "failed"


def test_external_data_on_both_sides(write, worker, tmp_path):
    model = onnx.load(write("g (float[N,4] x) => (float[N,4] y) { y = MatMul(x, w) }"))
    model.graph.initializer.append(numpy_helper.from_array(np.eye(4, dtype=np.float32), "w"))
    paths = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "model.onnx")
        onnx.save(copy.deepcopy(model), paths[-1], save_as_external_data=True, location="w.bin", size_threshold=0)
    outcome = verify(*paths, worker=worker)
    assert outcome.status == "passed", outcome.reason
    (tmp_path / "two" / "w.bin").write_bytes(np.ones((4, 4), np.float32).tobytes())
    assert verify(*paths, worker=worker).status == "failed"
