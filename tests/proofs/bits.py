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

from proofs.terms import Term, numpy_type

LIMIT = 3_000_000
"""What a query may cost, in the solver's own units: the same on every machine."""
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
        self._answers: dict[str, bool] = {}

    def same(self, a: Term, b: Term) -> dict[str, str] | None:
        """None where both are equal for all values, else values for which they are not.

        Raises:
            CannotSay: the solver gave up, or does not know the types.
        """
        key = _renamed(a, b)
        if key in self._answers:
            return None
        self._told.clear()
        self._known.clear()
        x, y = self.of(a), self.of(b)
        if x.sort() != y.sort():
            raise CannotSay(f"{x.sort()} and {y.sort()}")
        solver = z3.Solver()
        solver.set("rlimit", LIMIT)
        solver.add(*self._told, x != y)
        answer = solver.check()
        if answer == z3.unknown:
            raise CannotSay(f"the solver gives up on {a!r} = {b!r}"[:200])
        if answer == z3.sat:
            model = solver.model()
            return {str(d): str(model[d]) for d in model.decls() if d.arity() == 0}
        self._answers[key] = True
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
        if term.op in _NEVER_BELOW_ZERO and term.elem in _FLOATS:
            self.laws.add(f"{term.op} gives nothing below +0.0")
            self._told.append(z3.Or(z3.fpIsNaN(made), z3.Not(z3.fpIsNegative(made))))
        return made

    def largest(self, a: z3.ExprRef, b: z3.ExprRef, elem: int, *, of: str, least: bool = False) -> z3.ExprRef:
        """The larger (or smaller) operand; NaN where one is; of two zeros either, always the same."""
        if elem not in _FLOATS:
            return z3.If(_less(a, b, elem) if least else _less(b, a, elem), a, b)
        first = z3.Bool(f"{of} of two zeros is the first")
        decided = z3.If(z3.fpLT(a, b) if least else z3.fpGT(a, b), a, b)
        equal = z3.And(z3.fpEQ(a, b), first)
        return z3.If(z3.fpIsNaN(a), a, z3.If(z3.fpIsNaN(b), b, z3.If(equal, a, decided)))


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


def _renamed(*terms: Term) -> str:
    """The terms in writing, symbols numbered as they come: one query answers for all that are alike."""
    numbers: dict[Term, str] = {}
    written: dict[Term, str] = {}

    def write(term: Term) -> str:
        if term.op == "symbol":
            return numbers.setdefault(term, f"x{len(numbers)}:{term.elem}")
        if term not in written:
            inner = ",".join(write(a) for a in term.args)
            written[term] = f"{term.op}:{term.elem}:{term.attributes}({inner})"
        return written[term]

    return " = ".join(write(t) for t in terms)


_MEANING: dict[str, Callable[[Bits, Term, list], z3.ExprRef | None]] = {}


def _means(*names: str):
    def register(meaning):
        _MEANING.update(dict.fromkeys(names, meaning))
        return meaning

    return register


@_means("Add", "Sum")
def _add(s: Bits, term: Term, args: list):
    return reduce(lambda a, b: z3.fpAdd(_NEAREST, a, b) if term.elem in _FLOATS else a + b, args)


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
    x, scale, zero = args
    if term.args[2].op != "constant" or term.args[0].elem not in _FLOATS or term.elem in _FLOATS:
        return None
    ends, offset = np.iinfo(numpy_type(term.elem)), int(term.args[2].value)
    low, high = (z3.FPVal(float(end - offset), x.sort()) for end in (ends.min, ends.max))
    steps = z3.fpRoundToIntegral(_NEAREST, z3.fpDiv(_NEAREST, x, scale))
    steps = z3.If(z3.fpLT(steps, low), low, z3.If(z3.fpGT(steps, high), high, steps))
    made = z3.Extract(zero.size() - 1, 0, z3.fpToSBV(z3.RTZ(), steps, z3.BitVecSort(32))) + zero
    nan = z3.Function("an integer for NaN", z3.BoolSort(), zero.sort())
    return z3.If(z3.fpIsNaN(steps), nan(z3.BoolVal(True)), made)
