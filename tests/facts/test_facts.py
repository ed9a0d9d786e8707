"""What facts state, and above all what they do not."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

import ncgopt
from ncgopt import facts
from ncgopt import model as models
from ncgopt.facts.determinism import is_deterministic
from ncgopt.facts.elements import elements
from ncgopt.facts.symbols import is_vague
from ncgopt.rewrite.session import Session, all_nodes


def load(text: str) -> dict[str, ir.Value]:
    """All values of a model by name."""
    model = models.from_proto(onnx.parser.parse_model(text)).model
    Session(model)
    found = {v.name: v for v in (*model.graph.inputs, *model.graph.initializers.values())}
    for node in all_nodes(model):
        found.update({v.name: v for v in node.outputs})
    for graph in model.graph.subgraphs():
        found.update({f"body.{v.name}": v for v in graph.inputs})
    for function in model.functions.values():
        found.update({f"function.{v.name}": v for v in function.inputs})
    return found


HEAD = '<ir_version: 10, opset_import: ["" : 21, "local" : 1, "custom" : 1]>'


def test_an_overridable_initializer_is_no_constant():
    values = load(
        HEAD + "g (float[1] x, float[1] w = {1}) => (float[1] y) <float[1] k = {2}> { a = Add(x, w)  y = Add(a, k) }"
    )
    assert facts.constant(values["w"]) is None
    assert facts.scalar(values["k"]) == 2.0
    facts.keep(values["k"])
    assert facts.constant(values["k"]) is None


def test_shapes_follow_symbols():
    values = load(
        HEAD
        + """g (float[N, 3] x, float[M, 3] z) => (float[N, 3] y) <int64[2] s = {0, -1}, float[1, 3] k = {1, 2, 3}> {
        a = Add(x, k)  b = Reshape(a, s)  c = Add(x, z)  y = Transpose <perm = [0, 1]> (b) }"""
    )
    assert facts.shape(values["a"]) == ("N", 3)
    assert facts.same_shape(values["x"], values["y"])
    assert facts.shape(values["c"]) == ("broadcast(M, N)", 3)
    assert not facts.same_shape(values["c"], values["x"])
    assert facts.is_broadcast_of(facts.shape(values["k"]), facts.shape(values["x"]))
    assert not facts.is_broadcast_of(facts.shape(values["x"]), facts.shape(values["z"]))


def test_a_declared_inner_shape_is_not_believed():
    values = load(HEAD + "g (float[N] x) => (float[N] y) <float[7] a> { a = custom.Op(x)  y = custom.Op(a) }")
    assert facts.shape(values["a"]) is None
    assert facts.dtype(values["a"]) == ir.DataType.FLOAT


def test_inputs_of_functions_and_loop_bodies_are_what_every_call_and_round_gives_them():
    values = load(
        HEAD
        + """g (int64 n, bool c, float[2] x) => (float[2] y, float[2] z) {
        y = Loop (n, c, x) <body = b (int64 i, bool k, float[2] s) => (bool k2, float[2] t) { k2 = Identity(k)  t = Neg(s) }>
        z = local.f(x) }
        <domain: "local", opset_import: ["" : 21]> f (p) => (q) { q = Neg(p) }"""
    )
    assert facts.shape(values["t"]) == facts.shape(values["y"]) == (2,)
    assert facts.dtype(values["t"]) == facts.dtype(values["y"]) == ir.DataType.FLOAT
    assert facts.dtype(values["q"]) == facts.dtype(values["z"]) == ir.DataType.FLOAT
    assert facts.shape(values["q"]) == facts.shape(values["z"]) == (2,)


def test_what_calls_disagree_on_is_unknown_in_a_function():
    values = load(
        HEAD
        + """g (float[2, N] x, double[3, N] w) => (float[2, N] y, double[3, N] z) { y = local.f(x)  z = local.f(w) }
        <domain: "local", opset_import: ["" : 21]> f (p) => (q) { q = Neg(p) }"""
    )
    first, second = facts.shape(values["q"])
    assert is_vague(first)
    assert second == "N"
    assert facts.dtype(values["q"]) is None


def test_a_function_that_is_given_its_own_result_is_no_endless_question():
    values = load(
        HEAD
        + """g (float[2, N] x) => (float[2, N] y, float[2, N] w) { z = local.f(x)  y = local.f(z)  w = Neg(z) }
        <domain: "local", opset_import: ["" : 21]> f (p) => (q) { r = Exp(p)  q = Neg(r) }"""
    )
    for name in ("z", "w", "y", "q"):
        assert facts.dtype(values[name]) in (None, ir.DataType.FLOAT)
        assert facts.shape(values[name]) in (None, (2, "N"))


def test_what_a_loop_changes_is_unknown_inside_and_outside():
    values = load(
        HEAD
        + """g (int64 n, bool c, float[2, N] x) => (float[K, N] y, float[A, B, C] all) {
        y, all = Loop (n, c, x) <body = b (int64 i, bool k, float[P, Q] s) => (bool k2, float[P, Q] t, float[P, Q] u) {
            k2 = Identity(k)  t = Concat<axis = 0>(s, s)  u = Neg(x) }> }"""
    )
    grows, stays = facts.shape(values["body.s"])
    assert is_vague(grows)
    assert stays == "N"
    outside, same = facts.shape(values["y"])
    assert is_vague(outside)
    assert outside not in facts.shape(values["t"]) + facts.shape(values["body.s"])
    assert same == "N"
    rounds, height, width = facts.shape(values["all"])
    assert is_vague(rounds)
    assert (height, width) == (2, "N")


def test_an_if_has_what_both_branches_agree_on():
    values = load(
        HEAD
        + """g (bool c, float[N, 2] x, float[N, 3] z) => (float[N, M] y) {
        y = If (c) <then_branch = t () => (float[N, 2] u) { u = Neg(x) }, else_branch = e () => (float[N, 3] v) { v = Neg(z) }> }"""
    )
    first, second = facts.shape(values["y"])
    assert first == "N"
    assert is_vague(second)


def test_a_contradiction_proves_nothing():
    values = load(HEAD + "g (float[2] x, float[3] z) => (float[M] y) { y = Add(x, z) }")
    assert facts.shape(values["y"]) is None


def test_incomplete_facts_are_looked_at_again():
    model = models.from_proto(
        onnx.parser.parse_model(HEAD + "g (float[2] x, int64[1] s) => (float[M] y) { r = Reshape(x, s)  y = Neg(r) }")
    ).model
    Session(model)
    reshape, neg = model.graph
    (size,) = facts.shape(neg.outputs[0])
    assert is_vague(size)
    target = ir.Value(name="t", const_value=ir.tensor([2], name="t"))
    model.graph.register_initializer(target)
    reshape.replace_input_with(1, target)
    facts.forget_from(target)
    assert facts.shape(neg.outputs[0]) == (2,)


def test_contents_that_only_name_an_unknown_size_are_looked_at_again():
    text = "g (float[2] x, int64[1] s) => (int64[M] y) { r = Reshape(x, s)  n = Shape(r)  y = Neg(n) }"
    model = models.from_proto(onnx.parser.parse_model(HEAD + text)).model
    Session(model)
    reshape, shape, _ = model.graph
    assert is_vague(elements(shape.outputs[0])[0])
    target = ir.Value(name="t", const_value=ir.tensor([2], name="t"))
    model.graph.register_initializer(target)
    reshape.replace_input_with(1, target)
    facts.forget()
    assert elements(shape.outputs[0]) == (2,)


@pytest.mark.parametrize("opset", [9, 11])
def test_axes_from_the_end_count_before_they_were_allowed(opset):
    values = load(f'<ir_version: 6, opset_import: ["" : {opset}]> '
                  "g (float[N, 1, 3] x) => (float[N, 3] a, float[N, 1, 3, 1] b) "
                  "{ a = Squeeze<axes = [-2]>(x)  b = Unsqueeze<axes = [-1]>(x) }")  # fmt: skip
    assert facts.shape(values["a"]) == ("N", 3)
    assert facts.shape(values["b"]) == ("N", 1, 3, 1)


def test_a_slope_may_enlarge_what_it_scales():
    """Against the standard, but ONNX Runtime runs it; ONNX's own inference gives the shape of x."""
    values = load(HEAD + "g (float[1, 1, 2] x, float[1, N, 2] z) => (float[A, B, C] y, float[D, E, F] w) "
                  "<float[2, 1, 1] s = {0.25, 0.5}, float[2] t = {0.25, 0.5}> { y = PRelu(x, s)  w = PRelu(z, t) }")  # fmt: skip
    assert facts.shape(values["y"]) == (2, 1, 2)
    assert facts.shape(values["w"]) == (1, "N", 2)


def test_numbers_that_wrap_are_unknown():
    """The largest int64 is kept, as Slices end with it; no int32 holds it."""
    values = load(HEAD + "g () => (int64[2] y) <int64[2] e = {9223372036854775807, 4}> "
                  "{ i = Identity(e)  t = Cast<to = 6>(i)  u = Cast<to = 7>(t)  y = Neg(u) }")  # fmt: skip
    assert elements(values["i"]) == (2**63 - 1, 4)
    assert elements(values["t"]) == (None, 4)
    assert elements(values["y"]) == (None, -4)


def test_attributes_have_the_defaults_of_their_opset():
    values = load(HEAD + "g (float[2, 2] x) => (float[2, 2] y) { a = Softmax(x)  y = Gemm(a, x) }")
    softmax, gemm = values["a"].producer(), values["y"].producer()
    assert facts.int_attribute(softmax, "axis") == -1
    softmax.version = 11
    assert facts.int_attribute(softmax, "axis") == 1
    assert facts.float_attribute(gemm, "alpha") == 1.0
    assert facts.int_attribute(gemm, "alpha") is None
    assert facts.ints_attribute(gemm, "perm") is None


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ("y = Neg(x)", True),
        ("y = RandomNormalLike(x)", False),
        ("y = Dropout(x)", True),
        ("y = Dropout(x, r, t)", False),
        ("y = custom.Op(x)", False),
        ("y = local.f(x)", False),
        ("y = If (t) <then_branch = a () => (float[2] u) { u = Bernoulli(x) }, else_branch = b () => (float[2] v) { v = Neg(x) }>",
         False),
    ],
)  # fmt: skip
def test_determinism(node: str, expected: bool):
    text = HEAD + f"g (float[2] x, bool t) => (float[2] y) <float r = {{0.5}}> {{ {node} }}"
    text += '<domain: "local", opset_import: ["" : 21]> f (p) => (q) { q = Neg(p) }'
    assert is_deterministic(load(text)["y"].producer()) is expected


def two_lengths(name: str) -> onnx.ModelProto:
    """x is enlarged to the length of z; both lengths are declared as `name`."""
    proto = onnx.parser.parse_model(
        HEAD + "g (float[A] x, float[A] z) => (float[B] y) { s = Shape(z)  e = Expand(x, s)  y = Neg(e) }"
    )
    for port in proto.graph.input:
        port.type.tensor_type.shape.dim[0].dim_param = name
    return proto


@pytest.mark.parametrize("name", ["?", "-1", "*", "None", "none", ""])
def test_what_only_says_unknown_is_no_name(name: str):
    model = models.from_proto(two_lengths(name)).model
    Session(model)
    x, z = model.graph.inputs
    assert not facts.same_shape(x, z)


def test_sizes_declared_as_a_question_mark_may_differ_when_the_model_is_optimized(tmp_path):
    path, out = tmp_path / "m.onnx", tmp_path / "o.onnx"
    proto = two_lengths("?")
    onnx.save(proto, path)
    ncgopt.optimize(path, ncgopt.Settings(verify=False), output=out)
    feeds = {"x": np.ones(1, np.float32), "z": np.zeros(5, np.float32)}
    expected = ReferenceEvaluator(proto).run(None, feeds)[0]
    assert np.array_equal(ReferenceEvaluator(onnx.load(out)).run(None, feeds)[0], expected)
    assert expected.shape == (5,)


def test_what_an_outer_loop_changes_is_unknown_in_an_inner_one():
    values = load(
        HEAD
        + """g (int64 n, bool c, float[2] x) => (float[K] y) {
        y = Loop (n, c, x) <body = outer (int64 i, bool k, float[P] s) => (bool k2, float[P] t) {
            k2 = Identity(k)
            inner = Loop (n, c, s) <body = b (int64 j, bool m, float[Q] u) => (bool m2, float[Q] v) {
                m2 = Identity(m)  v = Neg(u) }>
            t = Concat<axis = 0>(inner, inner) }> }"""
    )
    for name in ("y", "t", "inner", "v", "body.s", "body.u"):
        (size,) = facts.shape(values[name])
        assert not isinstance(size, int), name


def test_sizes_in_nested_loops_are_computed_in_every_round(tmp_path):
    path, out = tmp_path / "m.onnx", tmp_path / "o.onnx"
    proto = onnx.parser.parse_model(
        HEAD
        + """g (int64 n, bool c, float[2] x) => (float[K] y, int64[R, 1] sizes) {
        y, sizes = Loop (n, c, x) <body = outer (int64 i, bool k, float[P] s) => (bool k2, float[T] t, int64[1] size) {
            k2 = Identity(k)
            inner = Loop (n, c, s) <body = b (int64 j, bool m, float[Q] u) => (bool m2, float[Q] v) {
                m2 = Identity(m)  v = Neg(u) }>
            t = Concat<axis = 0>(inner, inner)  whole = Shape(t)  size = Neg(whole) }> }"""
    )
    onnx.save(proto, path)
    ncgopt.optimize(path, ncgopt.Settings(verify=False), output=out)
    feeds = {"n": np.array(3), "c": np.array(True), "x": np.ones(2, np.float32)}
    for expected, found in zip(
        ReferenceEvaluator(proto).run(None, feeds), ReferenceEvaluator(onnx.load(out)).run(None, feeds), strict=True
    ):
        assert np.array_equal(expected, found)
    assert ReferenceEvaluator(proto).run(None, feeds)[1].reshape(-1).tolist() == [-4, -8, -16]


def test_a_scalar_for_the_axes_of_unsqueeze_tells_no_rank():
    """ONNX Runtime takes one, against the specification."""
    values = load(HEAD + "g (float[4, 3] x, int64 i) => (float[1, K, 3] y) { y = Unsqueeze(x, i) }")
    assert facts.shape(values["y"]) is None
