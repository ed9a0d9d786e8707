"""Arithmetic with constants, expanded into a polynomial: every order of operands and factors comes out the same."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record

Powers = tuple[int, ...]
_MAX_TERMS = 12
_MAX_DEPTH = 10  # longer chains are no activation
_OPERATORS = ("Add", "Sub", "Mul", "Div", "Neg", "Pow", "Sqrt")


@record
class Polynomial:
    """A polynomial in some values.

    Attributes:
        terms: coefficient by the power of each value; none of them zero.
        nodes: the operators that compute it.
        rank: the highest rank of a constant in it.
    """

    terms: Mapping[Powers, float]
    nodes: frozenset[ir.Node]
    rank: int

    def equals(self, terms: Mapping[Powers, float], tolerance: float) -> bool:
        """Whether the coefficients are those of `terms`, up to a relative error."""
        if self.terms.keys() != terms.keys():
            return False
        return all(abs(self.terms[p] - c) <= tolerance * abs(c) for p, c in terms.items())


def expand(value: ir.Value | None, atoms: Sequence[ir.Value], root: ir.Node) -> Polynomial | None:
    """`value` as a polynomial in `atoms`, computed in the graph of `root`; None where it is none."""
    return _expand(value, atoms, root, _MAX_DEPTH)


def operands(value: ir.Value | None, root: ir.Node, depth: int, *op_types: str) -> Iterator[ir.Value]:
    """`value` and the values it is computed from by `op_types` (by default any arithmetic), without constants."""
    if value is None or facts.is_constant(value):
        return
    yield value
    node = producer_beside(value, root, *(op_types or _OPERATORS)) if depth else None
    for operand in node.inputs if node is not None else ():
        yield from operands(operand, root, depth - 1, *op_types)


def _expand(value: ir.Value | None, atoms: Sequence[ir.Value], root: ir.Node, depth: int) -> Polynomial | None:
    if value is None:
        return None
    for k, atom in enumerate(atoms):
        if value is atom:
            return Polynomial({tuple(int(k == j) for j in range(len(atoms))): 1.0}, frozenset(), 0)
    if facts.is_constant(value):
        return _constant(value, len(atoms))
    node = producer_beside(value, root, *_OPERATORS)
    if node is None or depth == 0:
        return None
    known: list[Polynomial] = []
    for operand in node.inputs:
        part = _expand(operand, atoms, root, depth - 1)
        if part is None:
            return None  # before the other operands are followed, which would take as long for each node above
        known.append(part)
    terms = _combine(node.op_type, [part.terms for part in known])
    if terms is None or len(terms) > _MAX_TERMS:
        return None
    nodes = frozenset({node}).union(*(part.nodes for part in known))
    return Polynomial(terms, nodes, max(part.rank for part in known))


def _constant(value: ir.Value, atoms: int) -> Polynomial | None:
    number, rank = cast("float | None", facts.scalar(value)), facts.rank(value)
    if number is None or rank is None:
        return None
    return Polynomial({(0,) * atoms: float(number)} if number else {}, frozenset(), rank)


def _combine(op_type: str, parts: Sequence[Mapping[Powers, float]]) -> Mapping[Powers, float] | None:
    match op_type, parts:
        case "Add", (a, b):
            return _sum(a, b, 1.0)
        case "Sub", (a, b):
            return _sum(a, b, -1.0)
        case "Neg", (a,):
            return _sum({}, a, -1.0)
        case "Mul", (a, b):
            return _product(a, b)
        case "Div", (a, b):
            divisor = _number(b)
            return {p: c / divisor for p, c in a.items()} if divisor else None
        case "Pow", (a, b):
            return _power(a, _number(b))
        case "Sqrt", (a,):
            square = _number(a)
            return {p: square**0.5 for p in a} if square is not None and square > 0 else None
        case _:
            return None


def _number(terms: Mapping[Powers, float]) -> float | None:
    return next(iter(terms.values())) if len(terms) == 1 and not any(next(iter(terms))) else None


def _sum(a: Mapping[Powers, float], b: Mapping[Powers, float], sign: float) -> Mapping[Powers, float]:
    total = dict(a)
    for powers, coefficient in b.items():
        total[powers] = total.get(powers, 0.0) + sign * coefficient
    return {p: c for p, c in total.items() if c}


def _product(a: Mapping[Powers, float], b: Mapping[Powers, float]) -> Mapping[Powers, float]:
    total: dict[Powers, float] = {}
    for (p, c), (q, d) in itertools.product(a.items(), b.items()):
        powers = tuple(i + j for i, j in zip(p, q, strict=True))
        total[powers] = total.get(powers, 0.0) + c * d
    return {p: c for p, c in total.items() if c}


def _power(base: Mapping[Powers, float], exponent: float | None) -> Mapping[Powers, float] | None:
    if exponent not in (1.0, 2.0, 3.0):
        return None
    total = base
    for _ in range(int(exponent) - 1):
        total = _product(total, base)
    return total
