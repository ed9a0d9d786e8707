"""Sizes that are cut off at a limit, `min(b, n)`, where something else says that the limit is not reached."""

from __future__ import annotations

from ncgopt.facts import symbols
from ncgopt.facts.polynomials import call_of, parse
from ncgopt.facts.symbols import Dim


def cap_of(a: Dim, b: Dim) -> Dim:
    """`n` where `a` is `min(b, n)` and `n >= 2`: the two broadcast only where `b <= n`; else None."""
    name, arguments = call_of(a) if isinstance(a, str) else ("", ())
    if name != "min" or b not in arguments:
        return None
    caps = [argument for argument in arguments if argument != b]
    return caps[0] if caps and symbols.is_at_least(caps[0], 2) else None


def under_cap(dim: Dim, size: Dim, cap: Dim) -> Dim:
    """`dim` where it is known that `size <= cap`: what is cut off at `cap` and no larger than `size` stays whole."""
    if not isinstance(dim, str) or "min(" not in dim:
        return dim
    result: Dim = 0
    for monomial, factor in parse(dim).items():
        term: Dim = factor
        for atom in monomial:
            term = symbols.mul(term, _atom_under_cap(atom, size, cap))
        result = symbols.add(result, term)
    return result


def _atom_under_cap(atom: str, size: Dim, cap: Dim) -> Dim:
    name, arguments = call_of(atom)
    if not name:
        return atom
    a, b = (under_cap(argument, size, cap) for argument in arguments)
    if name == "min":
        for inner, limit in ((a, b), (b, a)):
            if symbols.is_at_least(symbols.sub(limit, cap), 0) and symbols.is_at_least(symbols.sub(size, inner), 0):
                return inner
    combine = {"min": symbols.minimum, "max": symbols.maximum, "broadcast": symbols.broadcast}.get(name)
    if combine is not None:
        return combine(a, b)
    return None if a is None or b is None else f"{name}({a}, {b})"
