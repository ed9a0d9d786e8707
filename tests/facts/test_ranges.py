"""Intervals against what small models really compute, and what must stay unknown."""

from __future__ import annotations

import math

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from ncgopt import model as models
from ncgopt.facts.ranges import Interval, interval, is_non_negative
from ncgopt.rewrite.session import Session

HEAD = '<ir_version: 10, opset_import: ["" : 21]>\ng (float[3, 4] x, int64[3, 4] n, float fed) => (T[M] y) '
CONSTANTS = (
    "<float two = {2}, float low = {-1}, float half = {0.5}, float minus = {-3}, int64 ten = {10}, int64 one = {1}, "
    "float[2] pair = {-1, 5}, int64 zero = {0}, int64[1] axis = {1}> "
)
KNOWN = {
    "y = Relu(x)": (0, math.inf),
    "y = Sigmoid(x)": (0, 1),
    "y = Softmax(x)": (0, 1),
    "y = Exp(x)": (0, math.inf),
    "y = Abs(x)": (0, math.inf),
    "y = Tanh(x)": (-1, 1),
    "y = Mul(x, x)": (0, math.inf),
    "y = Pow(x, two)": (0, math.inf),
    "a = Sigmoid(x)  y = Mul(a, minus)": (-3, 0),
    "a = Sigmoid(x)  b = Relu(x)  y = Add(a, b)": (0, math.inf),
    "a = Tanh(x)  y = Add(a, half)": (-0.5, 1.5),
    "y = Clip(x, low, two)": (-1, 2),
    "y = Clip(x, , two)": (-math.inf, 2),
    "y = Clip(x, half)": (0.5, math.inf),
    "y = Clip(x, fed, two)": (-math.inf, 2),
    "a = Sigmoid(x)  y = Clip(a, fed, two)": (0, 2),
    "a = Sigmoid(x)  y = Clip(a, fed, low)": (-1, -1),
    "a = Sigmoid(x)  y = Max(a, half)": (0.5, 1),
    "a = Sigmoid(x)  y = Min(a, x)": (-math.inf, 1),
    "a = Sigmoid(x)  b = Tanh(x)  y = Concat<axis = 0>(a, b)": (-1, 1),
    "a = Sigmoid(x)  b = Transpose(a)  c = Flatten(b)  y = Identity(c)": (0, 1),
    "y = Mod(n, ten)": (0, 9),
    "y = ArgMax<axis = 1>(x)": (0, 3),
    "y = Shape(x)": (0, math.inf),
    "a = Mod(n, ten)  y = Add(a, one)": (1, 10),
    "y = Gather(pair, zero)": (-1, 5),
    "a = Sigmoid(x)  y = ReduceMean(a, axis)": (0, math.inf),
}
UNKNOWN = (
    "y = Neg(x)",
    "y = Clip(x, half, fed)",
    "a = Sigmoid(x)  y = Clip(a, half, fed)",
    "y = Mul(x, half)",
    "y = Identity(n)",
    "y = Mul(n, n)",
    "a = Cast<to = 3>(n)  y = Add(a, a)",
)


def last(body: str, kind: str):
    text = HEAD.replace("T[M]", f"{kind}[M]") + CONSTANTS + "{ " + body + " }"
    proto = onnx.parser.parse_model(text)
    model = models.from_proto(proto).model
    Session(model)
    return proto, model.graph.outputs[0]


@pytest.mark.parametrize("body", KNOWN)
def test_interval_is_the_expected_one_and_holds(body: str):
    kind = "int64" if any(op in body for op in ("Mod", "ArgMax", "Shape")) else "float"
    proto, y = last(body, kind)
    assert interval(y) == Interval(*map(float, KNOWN[body]))
    rng = np.random.default_rng(0)
    feeds = {"x": (10 * rng.standard_normal((3, 4))).astype(np.float32), "n": rng.integers(-99, 99, (3, 4))}
    feeds["fed"] = np.array(-7, np.float32)
    found = ReferenceEvaluator(proto).run(None, feeds)[0]
    assert found.min() >= interval(y).low
    assert found.max() <= interval(y).high


@pytest.mark.parametrize("body", UNKNOWN)
def test_unknown(body: str):
    kind = "int8" if "to = 3" in body else "int64" if "n" in body.replace("Identity", "") else "float"
    assert interval(last(body, kind)[1]) == Interval()


def test_an_overridable_bound_is_no_bound():
    proto = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21]>\ng (float[2] x, float low = {0}) => (float[2] y) { y = Max(x, low) }'
    )
    model = models.from_proto(proto).model
    Session(model)
    assert not is_non_negative(model.graph.outputs[0])
