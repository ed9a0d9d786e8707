"""Arithmetic on sizes: polynomials with integer coefficients over the model's own symbols.

A dimension is a number, or the canonical text of an expression (`batch*sequence + 1`), or None for
unknown. Equal text means equal size on every run, so that rules compare dimensions with `==`.
Canonical is the expanded form with its terms in a fixed order; what is no polynomial becomes an
atom of its own (`floor(h, 2)`, `max(a, b)`), and so does a symbol whose name is no plain word
(`<unk__1/2>`). Symbols stand for sizes: they are never negative.

What exporters compute from shapes is nearly always of this kind, which is why this is enough
where a computer algebra system (sympy, as onnx-shape-inference uses it) costs a thousand times more.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from math import gcd
from urllib.parse import unquote

from ncgopt.facts.polynomials import (
    NotAnExpression,
    Polynomial,
    call_of,
    parse,
    polynomial,
    quotient,
    text_of,
    times,
    total,
)

Dim = int | str | None
"""A size, the canonical text of an expression, or unknown."""


@functools.lru_cache(maxsize=4096)
def declared(text: str) -> str:
    """The dimension that a model's author named `text`: a word, or an expression such as `past + 1`."""
    try:
        found = parse(text)
        canonical = text_of(found)
    except NotAnExpression:
        canonical = None
    return canonical if isinstance(canonical, str) else f"<'{_escaped(text)}'>"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("<", "%3C").replace(">", "%3E")


def unnamed(name: str, axis: int) -> str:
    """The size of a graph input that its author left unnamed."""
    return f"<{_escaped(name)}.{axis}>"


def fresh(text: str) -> str:
    """A symbol that stands for "some size": another of these names another size, as far as anybody knows."""
    return f"<?{_escaped(text)}>"


def is_vague(dim: Dim) -> bool:
    """Whether `dim` holds a symbol that only stands for "some size": more may be learnt about it."""
    return isinstance(dim, str) and "<?" in dim


def add(a: Dim, b: Dim) -> Dim:
    """`a + b`."""
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    return None if a is None or b is None else _add(a, b)


def sub(a: Dim, b: Dim) -> Dim:
    """`a - b`, which may be negative."""
    return add(a, mul(b, -1))


def mul(a: Dim, b: Dim) -> Dim:
    """`a * b`."""
    if isinstance(a, int) and isinstance(b, int):
        return a * b
    if a == 0 or b == 0:
        return 0  # sizes are finite
    return None if a is None or b is None else _mul(a, b)


def product(dims: tuple[Dim, ...]) -> Dim:
    """Number of elements of a shape."""
    return functools.reduce(mul, dims, 1)


def floor_div(a: Dim, b: Dim, *, certain: bool = False) -> Dim:
    """`a // b` for `a >= 0` and `b > 0`: where that follows, or where the caller is `certain` of it."""
    if a is None or b is None or not (certain or (is_at_least(a, 0) and is_at_least(b, 1))):
        return None
    if isinstance(a, int) and isinstance(b, int):
        return a // b if b else None
    return _floor_div(a, b)


def ceil_div(a: Dim, b: int) -> Dim:
    """`a / b` rounded up, for an `a` that the caller knows is not negative."""
    return floor_div(add(a, b - 1), b, certain=True)


def exact_div(a: Dim, b: Dim) -> Dim:
    """The size that times `b` gives `a`, where `b` is not zero and the caller knows that it divides `a`."""
    if a is None or b is None or b == 0:
        return None
    if isinstance(a, int) and isinstance(b, int):
        return a // b if a % b == 0 else None
    return _exact_div(a, b)


def modulo(a: Dim, b: Dim) -> Dim:
    """`a mod b` for `a >= 0` and `b > 0`; None where that is not certain."""
    if a is None or b is None or not is_at_least(a, 0) or not is_at_least(b, 1):
        return None
    if isinstance(a, int) and isinstance(b, int):
        return a % b
    quotient = floor_div(a, b)
    if isinstance(quotient, str) and "floor(" in quotient:
        return f"mod({a}, {b})"
    return sub(a, mul(quotient, b))


def maximum(a: Dim, b: Dim) -> Dim:
    """The larger one."""
    if a is None or b is None or a == b:
        return a if a == b else None
    if is_at_least(sub(a, b), 0):
        return a
    if is_at_least(sub(b, a), 0):
        return b
    return _joined("max", max, a, b)


def minimum(a: Dim, b: Dim) -> Dim:
    """The smaller one."""
    if a is None or b is None or a == b:
        return a if a == b else None
    if is_at_least(sub(a, b), 0):
        return b
    if is_at_least(sub(b, a), 0):
        return a
    return _joined("min", min, a, b)


def _joined(name: str, pick: Callable[[int, int], int], a: int | str, b: int | str) -> Dim:
    """`name(a, b)`, where of two numbers in nested calls one remains."""
    for one, other in ((a, b), (b, a)):
        inner, arguments = call_of(other) if isinstance(other, str) else ("", ())
        numbers = [n for n in arguments if isinstance(n, int)]
        rest = [n for n in arguments if isinstance(n, str)]
        if inner == name and isinstance(one, int) and len(numbers) == len(rest) == 1:
            return _commuting(name, pick(one, numbers[0]), rest[0])
    return _commuting(name, a, b)


def broadcast(a: Dim, b: Dim) -> Dim:
    """What two dimensions broadcast to, in a model where they do."""
    if a == b or b == 1:
        return a
    if a == 1:
        return b
    for one in (a, b):
        # What broadcasts against 2 or more is that, or 1; what broadcasts against 0 is 0 or 1.
        if isinstance(one, int):
            return one
        if one is not None and is_at_least(one, 2):
            return one
    if a is None or b is None:
        return None
    for one, other in ((a, b), (b, a)):
        if _is_cut_from(one, other) or _is_part(one, other):
            return other
    return _commuting("broadcast", a, b)


def _is_cut_from(a: Dim, b: Dim) -> bool:
    """Whether `a` is `min(b, n)` with `n >= 1`: it is `b`, or 1, or nothing that broadcasts against `b`."""
    name, arguments = call_of(a) if isinstance(a, str) else ("", ())
    return name == "min" and b in arguments and all(is_at_least(n, 1) for n in arguments if n != b)


def _is_part(a: Dim, b: Dim) -> bool:
    """Whether `b` is what `a` and something else broadcast to."""
    name, arguments = call_of(b) if isinstance(b, str) else ("", ())
    return name == "broadcast" and any(a == part or _is_part(a, part) for part in arguments)


def differ(a: Dim, b: Dim) -> bool:
    """Whether `a` and `b` can never be equal."""
    difference = sub(a, b)
    return difference is not None and (is_at_least(difference, 1) or is_at_least(mul(difference, -1), 1))


def is_at_least(dim: Dim, bound: int) -> bool:
    """Whether `dim >= bound` on every run, as far as it follows from symbols not being negative."""
    if isinstance(dim, int):
        return dim >= bound
    return dim is not None and _lower_bound(dim) >= bound


@functools.lru_cache(maxsize=16384)
def _lower_bound(dim: str) -> float:
    bound = 0.0
    for monomial, factor in parse(dim).items():
        if not monomial:
            bound += factor
        elif factor < 0:
            return float("-inf")
        else:
            least = 1.0
            for atom in monomial:
                least *= _atom_bound(atom)
            bound += factor * least
    return bound


def _atom_bound(atom: str) -> float:
    name, arguments = call_of(atom)
    if name in ("max", "broadcast", "min"):
        bounds = [float(a) if isinstance(a, int) else _lower_bound(a) for a in arguments]
        # 0 broadcast against 1 is 0, and nothing else falls below both.
        return max(0.0, max(bounds) if name == "max" else min(bounds))
    return 0.0


def written(atom: str) -> str:
    """What a model's author wrote for a symbol, by which `evaluate` looks it up; words stay as they are."""
    return unquote(atom[2:-2]) if atom.startswith("<'") else atom


def evaluate(dim: Dim, sizes: dict[str, int]) -> int | None:
    """The number that `dim` is where its symbols have these sizes; None where one of them is missing."""
    if not isinstance(dim, str):
        return dim
    total = 0
    for monomial, factor in parse(dim).items():
        for atom in monomial:
            value = _evaluate_atom(atom, sizes)
            if value is None:
                return None
            factor *= value
        total += factor
    return total


def _evaluate_atom(atom: str, sizes: dict[str, int]) -> int | None:
    name, arguments = call_of(atom)
    if not name:
        return sizes.get(written(atom))
    values = [evaluate(a, sizes) for a in arguments]
    a, b = values
    if a is None or b is None:
        return None
    match name:
        case "floor":
            return a // b if b else None
        case "mod":
            return a % b if b else None
        case "min":
            return min(a, b)
        case "broadcast":
            return b if a == 1 else a
        case _:
            return max(a, b)


def atoms(dim: Dim) -> frozenset[str]:
    """The symbols that `dim` is made of."""
    if not isinstance(dim, str):
        return frozenset()
    found: set[str] = set()
    for monomial in parse(dim):
        for atom in monomial:
            name, arguments = call_of(atom)
            found.update(*(atoms(a) for a in arguments)) if name else found.add(atom)
    return frozenset(found)


@functools.lru_cache(maxsize=16384)
def _add(a: int | str, b: int | str) -> Dim:
    return text_of(total(polynomial(a), polynomial(b)))


@functools.lru_cache(maxsize=16384)
def _mul(a: int | str, b: int | str) -> Dim:
    return text_of(times(polynomial(a), polynomial(b)))


@functools.lru_cache(maxsize=16384)
def _exact_div(a: int | str, b: int | str) -> Dim:
    found = quotient(polynomial(a), polynomial(b))
    return None if found is None else text_of(found)


@functools.lru_cache(maxsize=16384)
def _floor_div(a: int | str, b: int | str) -> Dim:
    exact = _exact_div(a, b)
    if exact is not None:
        return exact
    if not isinstance(b, int):
        return text_of({(f"floor({a}, {b})",): 1})
    # Multiples of the divisor come out whole; what is left over stays inside, and is not negative.
    whole: Polynomial = {}
    rest: Polynomial = {}
    for monomial, factor in polynomial(a).items():
        whole[monomial], rest[monomial] = divmod(factor, b)
    rest = {m: f for m, f in rest.items() if f}
    inner = text_of(rest)
    if inner is None or isinstance(inner, int):
        return add(text_of(whole), inner // b if isinstance(inner, int) else None)
    common = functools.reduce(gcd, rest.values(), b)
    if common > 1:
        reduced = text_of({m: f // common for m, f in rest.items()})
        return add(text_of(whole), floor_div(reduced, b // common))
    name, arguments = call_of(inner)
    if name == "floor" and isinstance(arguments[1], int):
        inner, b = str(arguments[0]), b * arguments[1]
    return add(text_of(whole), text_of({(f"floor({inner}, {b})",): 1}))


def _commuting(name: str, a: int | str, b: int | str) -> Dim:
    first, second = sorted((str(a), str(b)))
    return text_of({(f"{name}({first}, {second})",): 1})
