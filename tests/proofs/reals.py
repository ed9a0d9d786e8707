"""Terms over the real numbers: a normal form modulo the laws of arithmetic and a few named laws of functions.

What the normal form does not decide, because it compares or chooses (`maximum`, `where`), a solver for real
arithmetic does (`pieces`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from onnx import TensorProto

from proofs.rationals import Polynomial, Rational, number, parts, variable
from proofs.terms import Term

EXP = "exp(a + b) = exp(a) exp(b)"
LOG = "log(a b) = log(a) + log(b) for positive a and b, log(exp(a)) = a"
NOTHING = "what is masked by the lowest number, or minus infinity, weighs nothing"
_LOW = 10_000


@dataclass(frozen=True, eq=False)
class Atom:
    """`function` of `args`; a `symbol` has its term."""

    function: str
    args: tuple[Rational, ...]
    term: Term | None = None


class Reals:
    """Normal forms of terms; one instance per proof, since it numbers atoms as they come.

    Args:
        tolerance: how far constants may be from each other, relative to the largest, because they were folded
            and rounded.
        expand: whether functions such as Softmax are what they are defined to be, or unknown.
    """

    def __init__(self, tolerance: float, *, expand: bool = True) -> None:
        self._expand = expand
        self.tolerance = tolerance
        self.atoms: list[Atom] = []
        self.laws: set[str] = set()
        self._by_function: dict[str, list[int]] = {}
        self._known: dict[Term, Rational] = {}

    def same(self, a: Term, b: Term) -> bool:
        """Whether both have one normal form."""
        return self.of(a).like(self.of(b), self.tolerance)

    def of(self, term: Term) -> Rational:
        """The normal form."""
        if term not in self._known:
            todo = [term]
            while todo:  # without recursion: terms are as deep as models
                top = todo[-1]
                if top in self._known:
                    todo.pop()
                    continue
                missing = [a for a in top.args if a not in self._known]
                if missing:
                    todo += missing
                else:
                    self._known[todo.pop()] = self._translate(top)
        return self._known[term]

    def atom(self, function: str, *args: Rational, term: Term | None = None) -> Rational:
        """`function` of `args`, the same atom for the same arguments."""
        known = self._by_function.setdefault(function, [])
        for index in known:
            atom = self.atoms[index]
            if (
                atom.term is term
                and len(atom.args) == len(args)
                and all(a.like(b, self.tolerance) for a, b in zip(atom.args, args, strict=True))
            ):
                return variable(index)
        self.atoms.append(Atom(function, args, term))
        known.append(len(self.atoms) - 1)
        return variable(len(self.atoms) - 1)

    def _translate(self, term: Term) -> Rational:
        args = tuple(self._known[a] for a in term.args)
        if term.op == "symbol":
            return self._by_symbol(term)
        if term.op == "constant":
            return _constant(term) if np.isfinite(term.value) else self._infinite(term)
        found = MEANING.get(term.op)
        if found is None or (not self._expand and term.op in COMPOSED):
            return self.opaque(term, args)
        try:
            return found(self, term, args)
        except (ZeroDivisionError, OverflowError):
            return self.opaque(term, args)

    def _infinite(self, term: Term) -> Rational:
        self.laws.add("infinity is some number")
        made = self.atom("nan" if np.isnan(term.value) else "infinity")
        return -made if term.value < 0 else made

    def _by_symbol(self, term: Term) -> Rational:
        self.atoms.append(Atom("symbol", (), term))
        return variable(len(self.atoms) - 1)

    def opaque(self, term: Term, args: tuple[Rational, ...]) -> Rational:
        """A function of which nothing is known but that equal arguments give equal results."""
        named = ", ".join(f"{k}={v}" for k, v in term.attributes)
        return self.atom(f"{term.op}<{term.elem}>({named})", *args)

    def exp(self, x: Rational) -> Rational:
        """The exponential: of each summand on its own, so that a sum becomes a product."""
        for index in {a for monomial in x.above.terms for a, _ in monomial}:
            if self._is_bit(index):
                at = [Rational.of(*(p.with_bit(index, bit) for p in (x.above, x.below))) for bit in (0, 1)]
                unset, set_ = self.exp(at[0]), self.exp(at[1])
                return unset + variable(index) * (set_ - unset)
        if self._weighs_nothing(x):
            self.laws.add(NOTHING)
            return number(0)
        made = number(1)
        for c, part in parts(x):
            if part.number is not None and abs(c) < _LOW:
                made = made * number(Fraction(math.exp(c)))
                continue
            one = self.atom("exp", part * number(abs(c)))
            made = made * (one if c > 0 else one.inverse())
        if len(x.above.terms) > 1 or any(c < 0 for c in x.above.terms.values()):
            self.laws.add(EXP)
        return made

    def _is_bit(self, index: int) -> bool:
        term = self.atoms[index].term
        return term is not None and term.elem == TensorProto.BOOL

    def _weighs_nothing(self, x: Rational) -> bool:
        """Whether a summand is as low as masks are, and no other could be as large."""
        low = [c for c, part in parts(x) if abs(c) >= _LOW or self.is_infinite(part)]
        fixed = [
            c for c, part in parts(x) if c < 0 and ((part.number is not None and c <= -_LOW) or self.is_infinite(part))
        ]
        return bool(fixed) and len(low) == len(fixed)

    def is_infinite(self, part: Rational) -> bool:
        """Whether it is infinity, of either sign."""
        atoms = [self.atoms[index].function for monomial in part.above.terms for index, _ in monomial]
        return atoms == ["infinity"]

    def log(self, x: Rational) -> Rational:
        """The logarithm: of factors, where they can be seen."""
        if x.number is not None and x.number > 0:
            return number(Fraction(math.log(x.number)))
        if x.below.number == 1 and len(x.above.terms) > 1:
            return self.atom("log", x)
        self.laws.add(LOG)
        return self._log_of(x.above) - self._log_of(x.below)

    def _log_of(self, x: Polynomial) -> Rational:
        if len(x.terms) != 1:
            return self.atom("log", Rational(x))
        ((monomial, c),) = x.terms.items()
        if c <= 0:
            return self.atom("log", Rational(x))
        made = self.log(number(c))
        for index, exponent in monomial:
            atom = self.atoms[index]
            one = atom.args[0] if atom.function == "exp" else self.atom("log", variable(index))
            made = made + one * number(exponent)
        return made

    def sqrt(self, x: Rational) -> Rational:
        """The square root."""
        if x.number is not None and x.number >= 0:
            n = x.number
            a, b = math.isqrt(n.numerator), math.isqrt(n.denominator)
            exact = a * a == n.numerator and b * b == n.denominator
            return number(Fraction(a, b) if exact else Fraction(math.sqrt(n)))
        return self.atom("sqrt", x)

    def maximum(self, *members: Rational) -> Rational:
        """The largest: a set, in which nested maxima dissolve."""
        flat: list[Rational] = []
        for member in members:
            for one in self._members(member):
                if not any(one.like(other, self.tolerance) for other in flat):
                    flat.append(one)
        numbers = [m for m in flat if m.number is not None]
        if len(numbers) > 1:
            largest = max(numbers, key=lambda m: m.number or 0)
            flat = [m for m in flat if m.number is None or m is largest]
        flat = [m for m in flat if not self._is_least(m)] or flat[:1]
        increasing = self._through_increasing(flat)
        if increasing is not None:
            return increasing
        if len(flat) == 1:
            return flat[0]
        if len(flat) == 2 and any(m.number is not None for m in flat):
            fixed, other = flat if flat[0].number is not None else reversed(flat)
            return fixed + self._positive_part(other - fixed)
        return self.atom("max", *sorted(flat, key=lambda m: m.sample))

    def _is_least(self, value: Rational) -> bool:
        if value.below.number != 1 or len(value.above.terms) != 1:
            return False
        ((monomial, c),) = value.above.terms.items()
        return c < 0 and [self.atoms[index].function for index, _ in monomial] == ["infinity"]

    def _through_increasing(self, members: list[Rational]) -> Rational | None:
        """max(f(a), f(b)) = f(max(a, b)) for f that increases."""
        atoms = [self._single(m) for m in members]
        names = {atom.function if atom is not None else "" for atom in atoms}
        name = names.pop()
        if names or not name.startswith(INCREASING) or len(atoms) < 2 or "alpha=-" in name:
            return None
        self.laws.add(f"{re.match('[A-Za-z]*', name)[0].lower()} increases")
        return self.atom(name, self.maximum(*(atom.args[0] for atom in atoms if atom is not None)))

    def _single(self, value: Rational) -> Atom | None:
        """The atom that the value is, if it is one of one operand."""
        if value.below.number != 1 or len(value.above.terms) != 1:
            return None
        ((monomial, c),) = value.above.terms.items()
        if c != 1 or len(monomial) != 1 or monomial[0][1] != 1:
            return None
        atom = self.atoms[monomial[0][0]]
        return atom if len(atom.args) == 1 else None

    def _members(self, value: Rational) -> tuple[Rational, ...]:
        if value.below.number == 1 and len(value.above.terms) == 1:
            ((monomial, c),) = value.above.terms.items()
            if c == 1 and len(monomial) == 1 and monomial[0][1] == 1:
                atom = self.atoms[monomial[0][0]]
                if atom.function == "max":
                    return atom.args
                if atom.function == "relu":
                    return (number(0), atom.args[0])
        return (value,)

    def _positive_part(self, x: Rational) -> Rational:
        """max(x, 0), with a leading coefficient of 1."""
        if x.number is not None:
            return number(max(x.number, Fraction(0)))
        lead = x.above.leading
        one = x * number(1 / lead)
        relu = self.atom("relu", one)
        return number(lead) * relu if lead > 0 else number(-lead) * (relu - one)

    def minimum(self, *members: Rational) -> Rational:
        """The smallest."""
        return -self.maximum(*(-m for m in members))


def _constant(term: Term) -> Rational:
    """The simplest fraction that rounds to the number: 0.1 means a tenth, not the float next to it."""
    value = term.value
    if value.dtype.kind in "iub":
        return number(int(value))
    wide = float(value)
    for largest in (1000, 1_000_000):
        simple = Fraction(wide).limit_denominator(largest)
        if np.asarray(float(simple)).astype(value.dtype) == value and simple:
            return number(simple)
    return number(Fraction(wide))


Meaning = Callable[[Reals, Term, tuple[Rational, ...]], Rational]
COMPOSED = (
    "Softmax",
    "LogSoftmax",
    "Sigmoid",
    "Gelu",
    "Mish",
    "Softplus",
    "Swish",
    "Clip",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
)
INCREASING = ("tanh", "Sigmoid", "LeakyRelu", "sqrt", "exp")
"""Of which max(f(a), f(b)) = f(max(a, b)), while they are not expanded."""
MEANING: dict[str, Meaning] = {}
"""What an operator is over the reals; `functions` fills it. What is not there stays an unknown function."""
