"""Terms as IEEE 754 floats and machine integers, for a solver: equality bit for bit, NaN payloads aside.

Where the standard leaves something open, both possibilities are left open here: which zero a maximum of
+0.0 and -0.0 is, and what a conversion of a number that does not fit gives.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np
import z3
from onnx import TensorProto

from proofs.solver import ask
from proofs.terms import Term, numpy_type

POW = "Pow(x, 2) is x * x, Pow(x, 1) is x"
_FLOATS = {
    TensorProto.FLOAT: (8, 24), TensorProto.DOUBLE: (11, 53), TensorProto.FLOAT16: (5, 11), TensorProto.BFLOAT16: (8, 8),
}  # fmt: skip
_NEVER_BELOW_ZERO = ("Exp", "HardSigmoid", "Sigmoid", "Softmax", "Softplus")
_NEAREST = z3.RNE()


class CannotSay(Exception):
    """A type that has no counterpart, or a query that costs too much."""


class Bits:
    """Asks the solver; `laws` are what it was told of functions that it knows nothing of."""

    def __init__(self) -> None:
        self.laws: set[str] = set()
        self._told: list[z3.BoolRef] = []
        self._known: dict[Term, z3.ExprRef] = {}
        self._quotients: list[tuple] = []
        self._knows = True

    def same(self, a: Term, b: Term) -> str | None:
        """None where both are equal for all values, else values for which they are not.

        Raises:
            CannotSay: the solver gave up, or does not know the types.
        """
        x, y = self.of(a), self.of(b)
        if x.sort() != y.sort():
            raise CannotSay(f"{x.sort()} and {y.sort()}")
        answer, values = ask(*self._told, x != y)
        if answer == z3.unknown:
            raise CannotSay(f"the solver gives up on {a!r} = {b!r}"[:200])
        if answer == z3.sat:
            if not self._knows:
                raise CannotSay(f"{a!r} and {b!r}, with functions that nothing is known of"[:300])
            return str(values)
        return None

    def of(self, term: Term) -> z3.ExprRef:
        """The solver's expression."""
        todo = [term]
        while todo:
            top = todo[-1]
            missing = [a for a in top.args if a not in self._known]
            if missing:
                todo += missing
                continue
            todo.pop()
            if top not in self._known:
                self._known[top] = self._translate(top)
        return self._known[term]

    def _translate(self, term: Term) -> z3.ExprRef:
        args = [self._known[a] for a in term.args]
        if term.op == "symbol":
            return z3.Const(repr(term), sort(term.elem))
        if term.op == "constant":
            return literal(term.value, term.elem)
        found = _MEANING.get(term.op)
        made = found(self, term, args) if found is not None else None
        return self.unknown(term, args) if made is None else made

    def unknown(self, term: Term, args: list[z3.ExprRef]) -> z3.ExprRef:
        """A function that gives equal results for equal arguments."""
        named = ", ".join(f"{k}={v}" for k, v in term.attributes)
        made = z3.Function(f"{term.op}({named})", *(a.sort() for a in args), sort(term.elem))(*args)
        if term.op in _NEVER_BELOW_ZERO and term.elem in _FLOATS and not _adds_negative_zero(term):
            self.laws.add(f"{term.op} gives nothing below +0.0")
            self._told.append(z3.Or(z3.fpIsNaN(made), z3.Not(z3.fpIsNegative(made))))
        self._knows = False
        return made

    def quotient(self, x: z3.ExprRef, elem: int, scale: Term) -> z3.BitVecRef:
        """`x / scale`, rounded to an integer of 32 bits; growing with x, or falling where the scale is negative."""
        self.laws.add("a rounded quotient grows with its dividend")
        made = z3.Function(f"steps of {scale.value}", sort(elem), z3.BitVecSort(32))(x)
        for other, steps, of in self._quotients:
            if of is scale:
                less, more = (steps, made) if scale.value > 0 else (made, steps)
                self.tell(z3.Implies(z3.fpLEQ(other, x), less <= more))
                self.tell(z3.Implies(z3.fpLEQ(x, other), more <= less))
        self._quotients.append((x, made, scale))
        return made

    def tell(self, fact: z3.BoolRef) -> None:
        """Let the solver know."""
        self._told.append(fact)

    def largest(self, a: z3.ExprRef, b: z3.ExprRef, elem: int, *, of: str, least: bool = False) -> z3.ExprRef:
        """The larger (or smaller) operand; NaN where one is; of two zeros either, always the same."""
        if elem not in _FLOATS:
            return z3.If(_less(a, b, elem) if least else _less(b, a, elem), a, b)
        first = z3.Bool(f"{of} of two zeros is the first")
        decided = z3.If(z3.fpLT(a, b) if least else z3.fpGT(a, b), a, b)
        equal = z3.And(z3.fpEQ(a, b), first)
        return z3.If(z3.fpIsNaN(a), a, z3.If(z3.fpIsNaN(b), b, z3.If(equal, a, decided)))


def _adds_negative_zero(term: Term) -> bool:
    beta = dict(term.attributes).get("beta", 1.0)
    return beta == 0 and bool(np.signbit(beta))


def sort(elem: int) -> z3.SortRef:
    """The solver's type."""
    if elem in _FLOATS:
        return z3.FPSort(*_FLOATS[elem])
    if elem == TensorProto.BOOL:
        return z3.BoolSort()
    dtype = numpy_type(elem)
    if dtype.kind not in "iu" or elem in (TensorProto.INT4, TensorProto.UINT4):
        raise CannotSay(f"element type {dtype}")
    return z3.BitVecSort(8 * dtype.itemsize)


def literal(value: np.generic, elem: int) -> z3.ExprRef:
    """A constant."""
    made = sort(elem)
    if elem == TensorProto.BOOL:
        return z3.BoolVal(bool(value))
    if elem not in _FLOATS:
        return z3.BitVecVal(int(value), made)
    wide = float(value)
    if np.isnan(wide):
        return z3.fpNaN(made)
    if np.isinf(wide):
        return z3.fpInfinity(made, wide < 0)
    if wide == 0:
        return z3.fpMinusZero(made) if np.signbit(wide) else z3.fpPlusZero(made)
    return z3.FPVal(wide, made)


def _signed(elem: int) -> bool:
    return numpy_type(elem).kind == "i"


def _less(a: z3.ExprRef, b: z3.ExprRef, elem: int, or_equal: bool = False) -> z3.BoolRef:
    if elem in _FLOATS:
        return z3.fpLEQ(a, b) if or_equal else z3.fpLT(a, b)
    if _signed(elem):
        return a <= b if or_equal else a < b
    return z3.ULE(a, b) if or_equal else z3.ULT(a, b)


_MEANING: dict[str, Callable[[Bits, Term, list], z3.ExprRef | None]] = {}


def _means(*names: str):
    def register(meaning):
        _MEANING.update(dict.fromkeys(names, meaning))
        return meaning

    return register


@_means("Add", "Sum")
def _add(s: Bits, term: Term, args: list):
    return reduce(lambda a, b: z3.fpAdd(_NEAREST, a, b) if term.elem in _FLOATS else a + b, args)


@_means("ReduceSum", "ReduceMean")
def _alone(s: Bits, term: Term, args: list):
    """Of one element: a sum may start at 0, which makes -0.0 positive."""
    if len(args) > 1 or term.elem not in _FLOATS:
        return None
    zero = z3.fpPlusZero(sort(term.elem))
    return z3.If(z3.Bool(f"{term.op} starts at 0"), z3.fpAdd(_NEAREST, zero, args[0]), args[0])


@_means("Sub")
def _sub(s: Bits, term: Term, args: list):
    return z3.fpSub(_NEAREST, *args) if term.elem in _FLOATS else args[0] - args[1]


@_means("Mul")
def _mul(s: Bits, term: Term, args: list):
    return z3.fpMul(_NEAREST, *args) if term.elem in _FLOATS else args[0] * args[1]


@_means("Div")
def _div(s: Bits, term: Term, args: list):
    if term.elem in _FLOATS:
        return z3.fpDiv(_NEAREST, *args)
    return args[0] / args[1] if _signed(term.elem) else z3.UDiv(*args)


@_means("Neg")
def _neg(s: Bits, term: Term, args: list):
    return z3.fpNeg(args[0]) if term.elem in _FLOATS else -args[0]


@_means("Abs")
def _abs(s: Bits, term: Term, args: list):
    (x,) = args
    if term.elem in _FLOATS:
        return z3.fpAbs(x)
    return z3.If(x < 0, -x, x) if _signed(term.elem) else x


@_means("Pow")
def _pow(s: Bits, term: Term, args: list):
    """The kernels of ONNX Runtime know the exponents 2 and 3; by 1 nothing is rounded."""
    if term.args[1].op != "constant" or term.args[1].value not in (1, 2) or term.elem not in _FLOATS:
        return None
    s.laws.add(POW)
    return args[0] if term.args[1].value == 1 else z3.fpMul(_NEAREST, args[0], args[0])


@_means("Relu")
def _relu(s: Bits, term: Term, args: list):
    return s.largest(args[0], literal(numpy_type(term.elem).type(0), term.elem), term.elem, of="Relu")


@_means("Max", "MaxPool", "ReduceMax")
def _max(s: Bits, term: Term, args: list):
    return reduce(lambda a, b: s.largest(a, b, term.elem, of=term.op), args)


@_means("Min")
def _min(s: Bits, term: Term, args: list):
    return reduce(lambda a, b: s.largest(a, b, term.elem, of=term.op, least=True), args)


@_means("Clip")
def _clip(s: Bits, term: Term, args: list):
    bounds = dict(zip(dict(term.attributes)["bounds"], args[1:], strict=True))
    bounds = {name: bounds[name] for name in ("min", "max") if name in bounds}
    x = args[0]
    for name, bound in bounds.items():
        x = s.largest(x, bound, term.elem, of=f"Clip's {name}", least=name == "max")
    return x


@_means("ThresholdedRelu")
def _thresholded(s: Bits, term: Term, args: list):
    zero = literal(numpy_type(term.elem).type(0), term.elem)
    alpha = literal(np.float32(dict(term.attributes)["alpha"]), term.elem)
    return z3.If(z3.fpGT(args[0], alpha), args[0], zero)


@_means("Less", "LessOrEqual", "Greater", "GreaterOrEqual")
def _order(s: Bits, term: Term, args: list):
    a, b = args if term.op.startswith("Less") else reversed(args)
    return _less(a, b, term.args[0].elem, term.op.endswith("OrEqual"))


@_means("Equal")
def _equal(s: Bits, term: Term, args: list):
    return z3.fpEQ(*args) if term.args[0].elem in _FLOATS else args[0] == args[1]


@_means("Not")
def _not(s: Bits, term: Term, args: list):
    return z3.Not(args[0])


@_means("And")
def _and(s: Bits, term: Term, args: list):
    return z3.And(*args)


@_means("Or")
def _or(s: Bits, term: Term, args: list):
    return z3.Or(*args)


@_means("Xor")
def _xor(s: Bits, term: Term, args: list):
    return z3.Xor(*args)


@_means("Where")
def _where(s: Bits, term: Term, args: list):
    return z3.If(*args)


@_means("IsNaN")
def _is_nan(s: Bits, term: Term, args: list):
    return z3.fpIsNaN(args[0])


@_means("Cast")
def _cast(s: Bits, term: Term, args: list):
    (x,), source, to = args, term.args[0].elem, term.elem
    if term.attributes:
        return None
    target = sort(to)
    if source == TensorProto.BOOL:
        kind = numpy_type(to).type
        return z3.If(x, literal(kind(1), to), literal(kind(0), to))
    if to == TensorProto.BOOL:
        return z3.Not(z3.fpIsZero(x)) if source in _FLOATS else x != 0
    if source in _FLOATS and to in _FLOATS:
        return z3.fpFPToFP(_NEAREST, x, target)
    if to in _FLOATS:
        return (z3.fpSignedToFP if _signed(source) else z3.fpUnsignedToFP)(_NEAREST, x, target)
    if source in _FLOATS:
        return (z3.fpToSBV if _signed(to) else z3.fpToUBV)(z3.RTZ(), x, target)
    return _resized(x, target.size(), _signed(source))


def _resized(x: z3.BitVecRef, size: int, signed: bool) -> z3.BitVecRef:
    if size <= x.size():
        return z3.Extract(size - 1, 0, x)
    return (z3.SignExt if signed else z3.ZeroExt)(size - x.size(), x)


@_means("DequantizeLinear")
def _dequantize(s: Bits, term: Term, args: list):
    x, scale, zero = args
    if term.elem not in _FLOATS or term.args[0].elem in _FLOATS:
        return None
    signed = _signed(term.args[0].elem)
    steps = _resized(x, 32, signed) - _resized(zero, 32, signed)
    return z3.fpMul(_NEAREST, z3.fpSignedToFP(_NEAREST, steps, scale.sort()), scale)


@_means("QuantizeLinear")
def _quantize(s: Bits, term: Term, args: list):
    """Saturated after the zero point was added; the rounded quotient is an unknown but monotone function."""
    x, scale, zero = term.args
    known = scale.op == zero.op == "constant" and scale.elem == x.elem and scale.value != 0
    if not known or x.elem not in _FLOATS or term.elem in _FLOATS:
        return None
    made = s.quotient(args[0], x.elem, scale)
    for part in [*_constants(x), numpy_type(x.elem).type(0)]:
        number = s.quotient(literal(part, x.elem), x.elem, scale)
        with np.errstate(all="ignore"):
            steps = np.clip(np.rint(np.float64(part / scale.value)), -(2.0**30), 2.0**30)
        if not np.isnan(steps):
            s.tell(number == int(steps))
    ends, offset = np.iinfo(numpy_type(term.elem)), int(zero.value)
    low, high = int(ends.min) - offset, int(ends.max) - offset
    made = z3.If(made < low, z3.BitVecVal(low, 32), z3.If(made > high, z3.BitVecVal(high, 32), made))
    return z3.Extract(args[2].size() - 1, 0, made) + args[2]


def _constants(term: Term) -> list[np.generic]:
    found, todo = [], [term]
    while todo:
        top = todo.pop()
        todo += top.args
        if top.op == "constant" and top.elem == term.elem:
            found.append(top.value)
    return found
