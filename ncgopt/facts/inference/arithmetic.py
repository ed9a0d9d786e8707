"""Arithmetic and comparisons on single elements: numbers, expressions over sizes, or None for unknown.

Booleans are 0 and 1. Where nothing certain can be said the answer is None.
"""

from __future__ import annotations

from ncgopt.facts import symbols
from ncgopt.facts.symbols import Dim


def div(a: Dim, b: Dim) -> Dim:
    """`a / b` as ONNX divides integers: towards zero."""
    if isinstance(a, int) and isinstance(b, int):
        if b == 0:
            return None
        return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)  # ONNX truncates
    # Where a symbol is the divisor, it is not zero in a run that comes to an end.
    exact = symbols.exact_div(a, b)
    return exact if exact is not None else symbols.floor_div(a, b)


def modulo(a: Dim, b: Dim) -> Dim:
    """`a mod b` with the sign of `b`, as ONNX's Mod has it without `fmod`."""
    if isinstance(a, int) and isinstance(b, int):
        return a % b if b != 0 else None
    return symbols.modulo(a, b)


def remainder(a: Dim, b: Dim) -> Dim:
    """`a mod b` with the sign of `a`, as C's `fmod` has it."""
    if isinstance(a, int) and isinstance(b, int):
        return (abs(a) % abs(b)) * (-1 if a < 0 else 1) if b != 0 else None
    return symbols.modulo(a, b)


def equal(a: Dim, b: Dim) -> Dim:
    """Whether both are the same size."""
    if a is not None and a == b:
        return 1
    return 0 if symbols.differ(a, b) else None


def less(a: Dim, b: Dim) -> Dim:
    """Whether `a < b`."""
    difference = symbols.sub(b, a)
    if symbols.is_at_least(difference, 1):
        return 1
    return 0 if symbols.is_at_least(symbols.mul(difference, -1), 0) else None


def greater(a: Dim, b: Dim) -> Dim:
    """Whether `a > b`."""
    return less(b, a)


def less_or_equal(a: Dim, b: Dim) -> Dim:
    """Whether `a <= b`."""
    return negation(less(b, a))


def greater_or_equal(a: Dim, b: Dim) -> Dim:
    """Whether `a >= b`."""
    return negation(less(a, b))


def neg(a: Dim) -> Dim:
    """`-a`."""
    return symbols.mul(a, -1)


def negation(a: Dim) -> Dim:
    """Not `a`."""
    return 1 - a if isinstance(a, int) else None


def conjunction(a: Dim, b: Dim) -> Dim:
    """Both."""
    if a == 0 or b == 0:
        return 0
    return 1 if a == 1 and b == 1 else None


def disjunction(a: Dim, b: Dim) -> Dim:
    """Either."""
    return negation(conjunction(negation(a), negation(b)))


def exclusive(a: Dim, b: Dim) -> Dim:
    """One and not the other."""
    return negation(equal(a, b))


def where(condition: Dim, x: Dim, y: Dim) -> Dim:
    """`x` where the condition holds, else `y`."""
    if condition is None:
        return x if x == y else None
    return x if condition else y


def absolute(a: Dim) -> Dim:
    """The size without its sign."""
    if isinstance(a, int):
        return abs(a)
    return a if symbols.is_at_least(a, 0) else None


def sign(a: Dim) -> Dim:
    """-1, 0 or 1."""
    if isinstance(a, int):
        return (a > 0) - (a < 0)
    return 1 if symbols.is_at_least(a, 1) else None


def is_true(a: Dim) -> Dim:
    """What a number is as a boolean."""
    return negation(equal(a, 0))
