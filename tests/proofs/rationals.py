"""Rational functions with rational coefficients over numbered atoms: the normal form of arithmetic over the reals."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

Monomial = tuple[tuple[int, int], ...]  # (atom, exponent), atoms ascending
LARGEST = 4000  # monomials; what grows beyond is left undecided


class TooLarge(Exception):
    """An expression that grows beyond what is worth expanding."""


def _point(atom: int) -> float:
    return random.Random(atom).uniform(0.5, 2.0)


class Polynomial:
    """A sum of monomials; immutable."""

    __slots__ = ("__dict__", "terms")

    def __init__(self, terms: dict[Monomial, Fraction]) -> None:
        if len(terms) > LARGEST:
            raise TooLarge(f"{len(terms)} monomials")
        self.terms = terms

    def __add__(self, other: Polynomial) -> Polynomial:
        made = dict(self.terms)
        for monomial, c in other.terms.items():
            total = made.get(monomial, 0) + c
            if total:
                made[monomial] = total
            else:
                del made[monomial]
        return Polynomial(made)

    def __mul__(self, other: Polynomial) -> Polynomial:
        if other.terms == _ONE:
            return self
        if self.terms == _ONE:
            return other
        if len(self.terms) * len(other.terms) > 50 * LARGEST:
            raise TooLarge("a product")
        made: dict[Monomial, Fraction] = {}
        for a, x in self.terms.items():
            for b, y in other.terms.items():
                monomial = _product(a, b)
                total = made.get(monomial, 0) + x * y
                if total:
                    made[monomial] = total
                else:
                    del made[monomial]
        return Polynomial(made)

    def scaled(self, factor: Fraction) -> Polynomial:
        """Times a number."""
        return self if factor == 1 else Polynomial({m: c * factor for m, c in self.terms.items()} if factor else {})

    def with_bit(self, atom: int, bit: int) -> Polynomial:
        """What it is where the atom is 0, or 1."""
        made = ZERO
        for monomial, c in self.terms.items():
            rest = tuple((a, e) for a, e in monomial if a != atom)
            if bit or len(rest) == len(monomial):
                made = made + Polynomial({rest: c})
        return made

    @property
    def number(self) -> Fraction | None:
        """The number that it is, if it is one."""
        if not self.terms:
            return Fraction(0)
        return self.terms.get(()) if len(self.terms) == 1 else None

    @cached_property
    def leading(self) -> Fraction:
        """The coefficient by which it is normalized: that of the largest monomial that is not the constant."""
        return self.terms[max(self.terms, key=lambda m: (bool(m), m))]

    @cached_property
    def sample(self) -> float:
        """Its value at one fixed point: equal polynomials have equal ones."""
        total = 0.0
        for monomial, c in self.terms.items():
            value = float(c)
            for atom, exponent in monomial:
                value *= _point(atom) ** exponent
            total += value
        return total

    def like(self, other: Polynomial, tolerance: float) -> bool:
        """Whether each coefficient agrees up to `tolerance`, relative to itself."""
        if self.terms == other.terms:
            return True
        if not tolerance:
            return False
        keys = self.terms.keys() | other.terms.keys()
        return all(_close(self.terms.get(k, 0), other.terms.get(k, 0), tolerance) for k in keys)


def _close(a: Fraction | int, b: Fraction | int, tolerance: float) -> bool:
    return a == b or abs(float(a - b)) <= tolerance * max(abs(float(a)), abs(float(b)))


_ONE = {(): Fraction(1)}
ZERO, ONE = Polynomial({}), Polynomial(_ONE)


def _product(a: Monomial, b: Monomial) -> Monomial:
    if not a or not b:
        return a or b
    powers = dict(a)
    for atom, exponent in b:
        powers[atom] = powers.get(atom, 0) + exponent
    return tuple(sorted(powers.items()))


def _without(a: Monomial, common: dict[int, int]) -> Monomial:
    return tuple((atom, e - common.get(atom, 0)) for atom, e in a if e - common.get(atom, 0))


@dataclass(frozen=True, eq=False)
class Rational:
    """`above / below`, without common monomial; the leading coefficient below is 1."""

    above: Polynomial
    below: Polynomial = ONE

    @staticmethod
    def of(above: Polynomial, below: Polynomial) -> Rational:
        """The quotient, normalized."""
        if below.terms == _ONE:
            return Rational(above)
        if not below.terms:
            raise ZeroDivisionError
        common: dict[int, int] | None = None
        for monomial in (*below.terms, *above.terms):
            powers = dict(monomial)
            common = powers if common is None else {k: min(e, powers[k]) for k, e in common.items() if k in powers}
            if not common:
                break
        if common:
            above, below = (Polynomial({_without(m, common): c for m, c in p.terms.items()}) for p in (above, below))
        lead = 1 / below.leading
        return Rational(above.scaled(lead), below.scaled(lead))

    @property
    def number(self) -> Fraction | None:
        """The number that it is, if it is one."""
        return self.above.number if self.below.number == 1 else None

    @cached_property
    def sample(self) -> float:
        """Its value at one fixed point."""
        return self.above.sample / (self.below.sample or 1e-300)

    def __add__(self, other: Rational) -> Rational:
        if self.below.terms == other.below.terms:
            return Rational.of(self.above + other.above, self.below)
        above = self.above * other.below + other.above * self.below
        return Rational.of(above, self.below * other.below)

    def __sub__(self, other: Rational) -> Rational:
        return self + -other

    def __neg__(self) -> Rational:
        return Rational(self.above.scaled(Fraction(-1)), self.below)

    def __mul__(self, other: Rational) -> Rational:
        if self.below.terms == other.above.terms:
            return Rational.of(self.above, other.below)
        if other.below.terms == self.above.terms:
            return Rational.of(other.above, self.below)
        return Rational.of(self.above * other.above, self.below * other.below)

    def inverse(self) -> Rational:
        """One through it; ZeroDivisionError for zero."""
        return Rational.of(self.below, self.above)

    def power(self, exponent: int) -> Rational:
        """An integer power."""
        base, made = self if exponent >= 0 else self.inverse(), number(1)
        for _ in range(abs(exponent)):
            made = made * base
        return made

    def like(self, other: Rational, tolerance: float = 0.0) -> bool:
        """Whether both are the same function, coefficients up to `tolerance`."""
        if self.above.terms == other.above.terms and self.below.terms == other.below.terms:
            return True
        if abs(self.sample - other.sample) > 1e-3 * (abs(self.sample) + abs(other.sample)) + 1e-6:
            return False
        return (self.above * other.below).like(other.above * self.below, tolerance)


def number(value: Fraction | int) -> Rational:
    """A number as a rational function."""
    return Rational(Polynomial({(): Fraction(value)} if value else {}))


def variable(atom: int) -> Rational:
    """An atom as a rational function."""
    return Rational(Polynomial({((atom, 1),): Fraction(1)}))


def parts(value: Rational) -> list[tuple[Fraction, Rational]]:
    """The summands `c * monomial / below` as `(c, monomial / below)`."""
    return [(c, Rational.of(Polynomial({m: Fraction(1)}), value.below)) for m, c in value.above.terms.items()]


def evaluate(value: Polynomial, at: Callable[[int], object], zero: object) -> object:
    """The polynomial on numbers, or terms of a solver, of another kind."""
    total = zero
    for monomial, c in value.terms.items():
        product: object = c
        for atom, exponent in monomial:
            for _ in range(exponent):
                product = at(atom) * product  # type: ignore[operator]
        total = total + product  # type: ignore[operator]
    return total
