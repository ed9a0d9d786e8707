"""What is read off a model about its inputs: meaning of values, symbols, what may be overridden."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from ncgopt.errors import InputUnreadable
from ncgopt.verify.inputs import (
    Choice,
    Condition,
    Exact,
    Free,
    Index,
    Mask,
    OptionalType,
    SequenceType,
    Size,
    TensorType,
    Words,
)
from ncgopt.verify.survey import survey


@pytest.fixture
def domain(write):
    def domain(text, **options):
        return survey(write(text, **options)).inputs[0].domain

    return domain


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("(int64[N] x) => (float[N,4] y) <float[7,4] t> { y = Gather(t, x) }", Index(7)),
        ("(float[N] x) => (float[N,4] y) <float[7,4] t> { i = Cast<to=7>(x) y = Gather(t, i) }", Index(7)),
        (
            "(int64[N] x) => (float[N,1,4] y) <float[7,4] t, int64[1] a = {1}> "
            "{ u = Unsqueeze(x, a) y = Gather(t, u) }",
            Index(7),
        ),
        (
            "(float[N] x) => (float[1,N,4] y) <float[7,4] t, int64[2] s = {1, -1}> "
            "{ i = Cast<to=7>(x) r = Reshape(i, s) y = Gather(t, r) }",
            Index(7),
        ),
        (
            "(int64[N] x) => (float[N,4] y) <float[7,4] t, int64 two = {2}> { s = Add(x, two) y = Gather(t, s) }",
            Index(7, -2),
        ),
        ("(int64[N] x) => (float[4,N] y) <float[4,5] t> { y = Gather<axis=1>(t, x) }", Index(5)),
        (
            "(int64[N] x) => (float[N,4] y, float[N,4] z) <float[7,4] t, float[3,4] u> "
            "{ y = Gather(t, x) z = Gather(u, x) }",
            Index(3),
        ),
        ("(int64[N] x, float[M,4] t) => (float[N,4] y) { y = Gather(t, x) }", Index("M")),
        (
            "(int64[N] x) => (int64[N,P] y) <int64 d = {6}, int64[2] v = {0,1}> { y = OneHot(x, d, v) }",
            Index(6),
        ),
        ("(int64[2] x) => (float[3,4] y) <float[12] t> { y = Reshape(t, x) }", Exact(((3, 4),))),
        ("(int64[1] x) => (float[P] y) <float[12] t> { y = Tile(t, x) }", Size()),
        ("(int64[1,6] attention_mask) => (float[1,6] y) { y = Cast<to=1>(attention_mask) }", Mask()),
        ("(bool[2,3] x, float[2,3] a) => (float[2,3] y) { y = Where(x, a, a) }", Mask()),
        ("(int64[N] x) => (int64[N] y) { y = Neg(x) }", Free()),
    ],
)
def test_meaning_of_integers(domain, body, expected):
    assert domain(f"g {body}") == expected


def test_constants_that_a_value_is_compared_with(domain):
    body = (
        "g (int64 sr) => (bool y, bool z) <int64 a = {16000}, int64 b = {8000}> { y = Equal(sr, a) z = Equal(b, sr) }"
    )
    assert domain(body) == Choice((8000.0, 16000.0))


def test_condition_inside_a_loop_body(domain):
    body = """g (bool flag, float[2] x) => (float[2] y) <int64 n = {2}, bool go = {1}> {
        y = Loop(n, go, x) <body = b (int64 i, bool c, float[2] v) => (bool d, float[2] w) {
            d = Identity(c)
            w = If(flag) <then_branch = t () => (float[2] p) { p = Neg(v) },
                          else_branch = e () => (float[2] q) { q = Identity(v) }> }> }"""
    assert domain(body) == Condition()


def test_index_that_a_local_function_uses(domain):
    text = """<ir_version: 9, opset_import: ["" : 18, "local" : 1]>
        g (int64[N] x) => (float[N,4] y) <float[7,4] t> { y = local.Look(t, x) }
        <domain: "local", opset_import: ["" : 18]> Look (table, at) => (found) { found = Gather(table, at) }"""
    assert domain(text) == Index(7)


def test_strings_that_the_model_knows(domain):
    text = """<ir_version: 9, opset_import: ["" : 18, "ai.onnx.ml" : 2]>
        g (string[N] x) => (int64[N] y) {
            y = ai.onnx.ml.LabelEncoder <keys_strings = ["cat", "dog"], values_int64s = [1, 2]> (x) }"""
    assert domain(text) == Words(("cat", "dog"))


def test_symbols_with_role_and_hint(write):
    text = """g (float["batch",C,H,W] x, float[?,3] s) => (float[?,?,?,?] y, float[?,3] z)
        <float[8,5,3,3] w> { y = Conv(x, w) z = Neg(s) }"""
    symbols = {symbol.name: symbol for symbol in survey(write(text)).symbols}
    assert {name: symbol.role for name, symbol in symbols.items()} == {
        "batch": "batch", "C": "channel", "H": "spatial", "W": "spatial", "s[0]": "batch",
    }  # fmt: skip
    assert symbols["C"].hints == (5,)


def test_expression_is_no_symbol(write):
    path = write("g (float[a] x, float[b] m) => (float[a] y, float[c] z) { y = Neg(x) z = Neg(m) }")
    model = onnx.load(path)
    model.graph.input[1].type.tensor_type.shape.dim[0].dim_param = "a + 2"
    onnx.save(model, path)
    assert [symbol.name for symbol in survey(path).symbols] == ["a"]


def test_types_of_sequences_optionals_and_unknown_rank(write):
    text = """g (seq(float[N]) s, optional(float[2]) o, float scalar) => (int64 n, bool h, float r)
        { n = SequenceLength(s) h = OptionalHasElement(o) r = Neg(scalar) }"""
    path = write(text)
    model = onnx.load(path)
    model.graph.input.append(onnx.helper.make_tensor_value_info("free", onnx.TensorProto.FLOAT, None))
    onnx.save(model, path)
    kinds = [given.type for given in survey(path).inputs]
    assert kinds == [
        SequenceType(TensorType("float32", ("N",))),
        OptionalType(TensorType("float32", (2,))),
        TensorType("float32", ()),
        TensorType("float32", None),
    ]


def test_inputs_with_defaults_need_no_feed_and_count_from_ir_4(write):
    path = write("g (float[2] x, float[2] w) => (float[2] y) { y = Mul(x, w) }")
    model = onnx.load(path)
    model.graph.initializer.append(numpy_helper.from_array(np.float32([1, 2]), "w"))
    onnx.save(model, path)
    found = survey(path)
    assert [given.name for given in found.inputs] == ["x"]
    assert [given.name for given in found.overridable] == ["w"]
    model.ir_version = 3
    onnx.save(model, path)
    assert survey(path).overridable == ()


@pytest.mark.parametrize("content", [b"not a model at all", b"\x08\x09\x12\x99\x99"])
def test_files_that_are_no_models(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(InputUnreadable, match=r"model\.onnx"):
        survey(path)


@pytest.mark.parametrize("name", ["?", "-1", "None"])
def test_what_only_says_unknown_is_varied_by_itself(tmp_path, name):
    proto = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21]> g (float[A, B] x) => (float[A, B] y) { y = Neg(x) }'
    )
    for dim in proto.graph.input[0].type.tensor_type.shape.dim:
        dim.dim_param = name
    onnx.save(proto, tmp_path / "m.onnx")
    assert [symbol.name for symbol in survey(tmp_path / "m.onnx").symbols] == ["x[0]", "x[1]"]
