"""What operators compute over the real numbers, from their specifications."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import reduce

import ml_dtypes
import numpy as np
from onnx import TensorProto

from proofs.rationals import Rational, number
from proofs.reals import MEANING, Meaning, Reals
from proofs.terms import Term, numpy_type

_FLOATS = "fV"


def _means(*names: str):
    def register(meaning: Meaning) -> Meaning:
        MEANING.update(dict.fromkeys(names, meaning))
        return meaning

    return register


def _is_float(elem: int) -> bool:
    return np.issubdtype(numpy_type(elem), np.floating) or elem in (TensorProto.BFLOAT16, TensorProto.FLOAT16)


def _sum(args) -> Rational:
    """Denominators that are equal first: sums of fractions of one row stay small."""
    made = number(0)
    for a in args:
        made = made + a
    return made


def _attribute(term: Term, name: str) -> Rational:
    value = dict(term.attributes)[name]
    simple = Fraction(value).limit_denominator(1_000_000)
    return number(simple if np.float32(float(simple)) == np.float32(value) else Fraction(value))


@_means("Add", "Sum", "ReduceSum")
def _add(r: Reals, term: Term, args) -> Rational:
    return _sum(args)


@_means("Sub")
def _sub(r: Reals, term: Term, args) -> Rational:
    return args[0] - args[1]


@_means("Mul", "ReduceProd")
def _mul(r: Reals, term: Term, args) -> Rational:
    return reduce(lambda a, b: a * b, args)


@_means("Div")
def _div(r: Reals, term: Term, args) -> Rational:
    return args[0] * args[1].inverse() if _is_float(term.elem) else r.opaque(term, args)


@_means("Neg")
def _neg(r: Reals, term: Term, args) -> Rational:
    return -args[0]


@_means("Reciprocal")
def _reciprocal(r: Reals, term: Term, args) -> Rational:
    return args[0].inverse()


@_means("Dot")
def _dot(r: Reals, term: Term, args) -> Rational:
    return _sum(a * b for a, b in zip(args[::2], args[1::2], strict=True))


@_means("ReduceMean", "Mean", "GlobalAveragePool")
def _mean(r: Reals, term: Term, args) -> Rational:
    return _sum(args) * number(Fraction(1, len(args)))


@_means("AveragePool")
def _average_pool(r: Reals, term: Term, args) -> Rational:
    return _sum(args) * number(Fraction(1, dict(term.attributes)["count"]))


@_means("ReduceSumSquare")
def _sum_square(r: Reals, term: Term, args) -> Rational:
    return _sum(a * a for a in args)


@_means("ReduceL2")
def _l2(r: Reals, term: Term, args) -> Rational:
    return r.sqrt(_sum(a * a for a in args))


@_means("Sqrt")
def _sqrt(r: Reals, term: Term, args) -> Rational:
    return r.sqrt(args[0])


@_means("Exp")
def _exp(r: Reals, term: Term, args) -> Rational:
    return r.exp(args[0])


@_means("Log")
def _log(r: Reals, term: Term, args) -> Rational:
    return r.log(args[0])


@_means("Pow")
def _pow(r: Reals, term: Term, args) -> Rational:
    return power(r, args[0], args[1])


def power(r: Reals, base: Rational, exponent: Rational) -> Rational:
    """A power: by halves where the exponent is a number."""
    e = exponent.number
    if e is None or (e * 4).denominator != 1 or abs(e) > 8:
        return r.atom("pow", base, exponent)
    made, size, root = base.power(int(abs(e))), abs(e) % 1, base
    while size:
        root, size = r.sqrt(root), size * 2
        if size >= 1:
            made, size = made * root, size - 1
    return made if e > 0 else made.inverse()


@_means("Sigmoid")
def _sigmoid(r: Reals, term: Term, args) -> Rational:
    return sigmoid(r, args[0])


def sigmoid(r: Reals, x: Rational) -> Rational:
    """1 / (1 + exp(-x))."""
    return (number(1) + r.exp(-x)).inverse()


@_means("Swish")
def _swish(r: Reals, term: Term, args) -> Rational:
    return args[0] * sigmoid(r, args[0] * _attribute(term, "alpha"))


@_means("Softplus")
def _softplus(r: Reals, term: Term, args) -> Rational:
    return r.log(number(1) + r.exp(args[0]))


@_means("Mish")
def _mish(r: Reals, term: Term, args) -> Rational:
    return args[0] * r.atom("tanh", r.log(number(1) + r.exp(args[0])))


@_means("Tanh")
def _tanh(r: Reals, term: Term, args) -> Rational:
    return r.atom("tanh", args[0])


@_means("Erf")
def _erf(r: Reals, term: Term, args) -> Rational:
    return r.atom("erf", args[0])


@_means("Gelu")
def _gelu(r: Reals, term: Term, args) -> Rational:
    (x,) = args
    half = number(Fraction(1, 2))
    if dict(term.attributes).get("approximate") == "tanh":
        cubic = x + number(Fraction("0.044715")) * x * x * x
        return half * x * (number(1) + r.atom("tanh", number(Fraction(math.sqrt(2 / math.pi))) * cubic))
    return half * x * (number(1) + r.atom("erf", x * number(Fraction(math.sqrt(0.5)))))


@_means("Softmax")
def _softmax(r: Reals, term: Term, args) -> Rational:
    powers = [r.exp(a) for a in args]
    return powers[dict(term.attributes)["position"]] * _sum(powers).inverse()


@_means("LogSoftmax")
def _log_softmax(r: Reals, term: Term, args) -> Rational:
    return args[dict(term.attributes)["position"]] - r.log(_sum(r.exp(a) for a in args))


@_means("BatchNormalization")
def _batch_normalization(r: Reals, term: Term, args) -> Rational:
    x, scale, bias, mean, variance = args
    deviation = r.sqrt(variance + _attribute(term, "epsilon"))
    return (x - mean) * (scale * deviation.inverse()) + bias


@_means("LRN")
def _lrn(r: Reals, term: Term, args) -> Rational:
    x, *row = args
    alpha = _attribute(term, "alpha") * number(Fraction(1, dict(term.attributes)["size"]))
    under = _attribute(term, "bias") + alpha * _sum(a * a for a in row)
    return x * power(r, under, -_attribute(term, "beta"))


@_means("Relu")
def _relu(r: Reals, term: Term, args) -> Rational:
    return r.maximum(args[0], number(0))


@_means("Max", "ReduceMax", "MaxPool", "GlobalMaxPool")
def _max(r: Reals, term: Term, args) -> Rational:
    return r.maximum(*(a for a, of in zip(args, term.args, strict=True) if not _is_last(r, of, below=True)))


@_means("Min", "ReduceMin")
def _min(r: Reals, term: Term, args) -> Rational:
    return r.minimum(*args)


@_means("Abs")
def _abs(r: Reals, term: Term, args) -> Rational:
    positive = r.maximum(args[0], number(0))
    return positive + positive - args[0]


@_means("Clip")
def _clip(r: Reals, term: Term, args) -> Rational:
    bounds = {
        name: bound
        for name, bound, of in zip(dict(term.attributes)["bounds"], args[1:], term.args[1:], strict=True)
        if not _is_last(r, of)
    }
    x = r.maximum(args[0], bounds["min"]) if "min" in bounds else args[0]
    return r.minimum(x, bounds["max"]) if "max" in bounds else x


def _is_last(r: Reals, bound: Term, below: bool = False) -> bool:
    """Whether no number lies beyond: it is the last float, or next to it."""
    if bound.op != "constant" or not _is_float(bound.elem) or (below and bound.value > 0):
        return False
    last = abs(float(bound.value)) > float(ml_dtypes.finfo(bound.value.dtype).max) * (1 - 2.0**-20)
    if last:
        r.laws.add("no number lies beyond the last float")
    return last


@_means("LeakyRelu")
def _leaky_relu(r: Reals, term: Term, args) -> Rational:
    return _leaky(r, args[0], _attribute(term, "alpha"))


@_means("PRelu")
def _prelu(r: Reals, term: Term, args) -> Rational:
    return _leaky(r, args[0], args[1])


def _leaky(r: Reals, x: Rational, slope: Rational) -> Rational:
    positive = r.maximum(x, number(0))
    return positive + slope * (x - positive)


@_means("HardSigmoid")
def _hard_sigmoid(r: Reals, term: Term, args) -> Rational:
    return hard_sigmoid(r, args[0], _attribute(term, "alpha"), _attribute(term, "beta"))


def hard_sigmoid(r: Reals, x: Rational, alpha: Rational, beta: Rational) -> Rational:
    """The line between 0 and 1."""
    return r.maximum(r.minimum(alpha * x + beta, number(1)), number(0))


@_means("HardSwish")
def _hard_swish(r: Reals, term: Term, args) -> Rational:
    return args[0] * hard_sigmoid(r, args[0], number(Fraction(1, 6)), number(Fraction(1, 2)))


@_means("Where")
def _where(r: Reals, term: Term, args) -> Rational:
    condition, a, b = args
    if condition.number is not None:
        return a if condition.number else b
    return a if a.like(b) else b + condition * (a - b)


@_means("Less", "Greater", "LessOrEqual", "GreaterOrEqual")
def _order(r: Reals, term: Term, args) -> Rational:
    a, b = args if term.op.startswith("Less") else reversed(args)
    return r.atom("at most" if term.op.endswith("OrEqual") else "less", a, b)


@_means("Equal")
def _equal(r: Reals, term: Term, args) -> Rational:
    if any(r.is_infinite(a) for a in args):
        r.laws.add("what is compared with infinity is finite")
        return number(0)
    return r.atom("equal", *sorted(args, key=lambda a: a.sample))


@_means("Not")
def _not(r: Reals, term: Term, args) -> Rational:
    return number(1) - args[0]


@_means("And")
def _and(r: Reals, term: Term, args) -> Rational:
    return args[0] * args[1]


@_means("Or")
def _or(r: Reals, term: Term, args) -> Rational:
    a, b = args
    return a + b - a * b


@_means("IsNaN")
def _is_nan(r: Reals, term: Term, args) -> Rational:
    r.laws.add("nothing is NaN")
    return number(0)


@_means("Cast")
def _cast(r: Reals, term: Term, args) -> Rational:
    """Between floats, and from integers to floats, nothing happens to a real number."""
    source = term.args[0].elem
    if _is_float(term.elem) or (source == TensorProto.BOOL and term.elem != TensorProto.BOOL):
        return args[0]
    if not _is_float(source) and np.can_cast(numpy_type(source), numpy_type(term.elem)):
        return args[0]
    return r.opaque(term, args)


@_means("DequantizeLinear")
def _dequantize(r: Reals, term: Term, args) -> Rational:
    x, scale, zero = args
    return (x - zero) * scale


@_means("QuantizeLinear")
def _quantize(r: Reals, term: Term, args) -> Rational:
    x, scale, zero = args
    if numpy_type(term.elem).kind not in "iu":
        return r.opaque(term, args)
    ends = np.iinfo(numpy_type(term.elem))
    steps = r.atom("round", x * scale.inverse()) + zero
    return r.minimum(r.maximum(steps, number(ends.min)), number(ends.max))
