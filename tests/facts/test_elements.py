"""Elements of shape arithmetic, against what the arithmetic really gives under two bindings of the symbols."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from ncgopt import model as models
from ncgopt.facts import symbols
from ncgopt.facts.elements import elements, known_elements
from ncgopt.facts.operands import normalized_axes
from ncgopt.rewrite.session import Session, all_nodes

HEAD = '<ir_version: 10, opset_import: ["" : 21]>\ng (float[N, 3, M] x, int64[2] fed) => (int64[K] y) '
CONSTANTS = (
    "<int64 i = {0}, int64[2] last = {-1, 0}, int64[1] zero = {0}, int64[1] one = {1}, int64[1] two = {2}, int64[1] end = "
    "{9223372036854775807}, int64[1] back = {-1}, int64[3] seven = {7, 7, 7}, int64[3] below = {-3, 0, 8}, "
    "float[3] caps = {4.0, 9.0, 512.0}, float[3] inexact = {16777217.0, 9e18, 2.5}, int64[3] negative = {-7, -7, -7}, float half = {0.5}> "
)
EXPRESSIONS = {
    "y = Identity(s)": ("N", 3, "M"),
    "y = Gather(s, i)": ("N",),
    "y = Gather(s, last)": ("M", "N"),
    "y = Slice(s, one, end)": (3, "M"),
    "y = Slice(s, zero, end, zero, two)": ("N", "M"),
    "y = Slice(s, back, end)": ("M",),
    "y = Concat<axis = 0>(s, back)": ("N", 3, "M", -1),
    "a = Gather(s, i)  y = Unsqueeze(a, zero)": ("N",),
    "c = Cast<to = 6>(s)  y = Cast<to = 7>(c)": ("N", 3, "M"),
    "y = Mul(s, one)": ("N", 3, "M"),
    "y = Mul(s, two)": ("2*N", 6, "2*M"),
    "y = Add(zero, s)": ("N", 3, "M"),
    "y = Sub(zero, s)": ("-N", -3, "-M"),
    "y = Div(s, seven)": ("floor(N, 7)", 0, "floor(M, 7)"),
    "y = Div(seven, back)": (-7, -7, -7),
    "y = Mod(below, seven)": (4, 0, 1),
    "y = Mod<fmod = 1>(below, seven)": (-3, 0, 1),
    "y = Mod(below, negative)": (-3, 0, -6),
    "y = Mod(s, seven)": ("mod(N, 7)", 3, "mod(M, 7)"),
    "f = Cast<to = 1>(s)  c = Min(f, caps)  y = Cast<to = 7>(c)": ("min(4, N)", 3, "min(512, M)"),
    "f = Cast<to = 1>(s)  c = Min(caps, f)  d = Min(caps, c)  y = Cast<to = 7>(c)": ("min(4, N)", 3, "min(512, M)"),
    "y = Concat<axis = 0>(fed, two)": (None, None, 2),
    "y = Shape<start = 1, end = 9>(x)": (3, "M"),
}


def last_value(body: str):
    proto = onnx.parser.parse_model(HEAD + CONSTANTS + "{ s = Shape(x)  " + body + " }")
    model = models.from_proto(proto).model
    Session(model)
    return proto, list(all_nodes(model))[-1].outputs[0]


@pytest.mark.parametrize("body", EXPRESSIONS)
def test_elements_hold_whatever_is_fed(body: str):
    proto, value = last_value(body)
    found = elements(value)
    assert found == EXPRESSIONS[body]
    for n, m in ((5, 2), (0, 1)):
        feeds = {"x": np.zeros((n, 3, m), np.float32), "fed": np.array([4, -2], np.int64)}
        actual = np.reshape(ReferenceEvaluator(proto).run(None, feeds)[0], -1).tolist()
        bound = [symbols.evaluate(e, {"N": n, "M": m}) for e in found]
        assert [a if b is None else b for a, b in zip(actual, bound, strict=True)] == actual


@pytest.mark.parametrize(
    "body",
    [
        "y = Slice(s, back, zero, zero, back)",  # backwards, the ends are clamped in another way
        "y = Gather(s, fed)",
        "f = Cast<to = 10>(s)  g = Min(f, f)  y = Cast<to = 7>(g)",
        "f = Cast<to = 1>(s)  y = Cast<to = 7>(f)",  # beyond 2**24 a float32 is not exact
        "f = Cast<to = 1>(s)  c = Min(f, inexact)  y = Cast<to = 7>(c)",
        "f = Cast<to = 1>(s)  h = Mul(f, half)  y = Cast<to = 7>(h)",
    ],
)
def test_what_is_not_followed_has_no_known_elements(body: str):
    _, value = last_value(body)
    assert known_elements(value) is None


def test_known_elements_are_all_numbers():
    assert known_elements(last_value("y = Slice(s, one, two)")[1]) == (3,)
    assert known_elements(last_value("y = Identity(s)")[1]) is None


def test_axes_are_counted_from_the_front_only_where_that_is_possible():
    assert normalized_axes((-1, 0), 3) == (2, 0)
    assert normalized_axes((0, 5), None) == (0, 5)
    assert normalized_axes((-1,), None) is None
    assert normalized_axes((3,), 3) is None
