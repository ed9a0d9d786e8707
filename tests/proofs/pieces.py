"""Piecewise functions over the reals: a solver decides what the normal form leaves open."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import z3
from onnx import TensorProto

from proofs.rationals import Polynomial, Rational
from proofs.reals import Reals
from proofs.solver import ask
from proofs.terms import Term

_FAR = Fraction(1, 100)
_KNOWN = ("symbol", "max", "relu", "where", "less", "at most", "equal", "sqrt")
_RANGES = {"exp": "exp(a) > 0", "tanh": "-1 < tanh(a) < 1", "erf": "-1 < erf(a) < 1"}


def same_in_pieces(reals: Reals, a: Term, b: Term) -> bool:
    """Whether both are equal for all real numbers; where the solver cannot show it, they are not known to be."""
    question = _Question(reals)
    left, right = question.quotient(reals.of(a)), question.quotient(reals.of(b))
    if ask(*question.facts, left != right)[0] != z3.unsat:
        return False
    reals.laws |= question.laws
    return True


def counterexample(reals: Reals, a: Term, b: Term) -> str:
    """Small numbers for which both are far apart; empty where none are found, or a function is unknown."""
    question = _Question(reals)
    left, right = question.quotient(reals.of(a)), question.quotient(reals.of(b))
    atoms = question.atoms
    if not all(reals.atoms[index].function in _KNOWN for index in atoms):
        return ""
    symbols = {f"{reals.atoms[k].term!r}": made for k, made in atoms.items() if reals.atoms[k].function == "symbol"}
    near = [z3.And(made >= -4, made <= 4) for made in symbols.values()]
    far = z3.Or(left - right > _number(_FAR), right - left > _number(_FAR))
    values = ask(*question.facts, *near, far)[1]
    if values is None:
        return ""
    named = {str(made): name for name, made in symbols.items()}
    return ", ".join(f"{named[str(d)]} = {values[d]}" for d in values.decls() if str(d) in named) or "any numbers"


class _Question:
    """The atoms that normal forms are made of, as real variables, and what is known of them."""

    def __init__(self, reals: Reals) -> None:
        self.facts: list[z3.BoolRef] = []
        self.laws: set[str] = set()
        self._reals = reals
        self.atoms: dict[int, z3.ArithRef] = {}

    def quotient(self, value: Rational) -> z3.ArithRef:
        above, below = self._sum(value.above), self._sum(value.below)
        if value.below.number == 1:
            return above
        self.facts.append(below != 0)
        return above / below

    def _sum(self, value: Polynomial) -> z3.ArithRef:
        total = z3.RealVal(0)
        for monomial, c in value.terms.items():
            product = _number(c)
            for index, exponent in monomial:
                for _ in range(exponent):
                    product = product * self._atom(index)
            total = total + product
        return total

    def _atom(self, index: int) -> z3.ArithRef:
        if index not in self.atoms:
            made = z3.Real(f"a{index}")
            self.atoms[index] = made
            self.facts += self._about(index, made)
        return self.atoms[index]

    def _about(self, index: int, made: z3.ArithRef) -> Iterator[z3.BoolRef]:
        atom = self._reals.atoms[index]
        args = [self.quotient(a) for a in atom.args]
        name = atom.function
        if name == "max":
            yield from (made >= a for a in args)
            yield z3.Or(*(made == a for a in args))
        elif name == "relu":
            yield made == z3.If(args[0] > 0, args[0], 0)
        elif name == "where":
            yield made == z3.If(args[0] == 1, args[1], args[2])
        elif name in ("less", "at most", "equal"):
            a, b = args
            holds = a < b if name == "less" else a <= b if name == "at most" else a == b
            yield made == z3.If(holds, z3.RealVal(1), z3.RealVal(0))
        elif name == "sqrt":
            yield z3.And(made >= 0, made * made == args[0])
        elif name in _RANGES:
            self.laws.add(_RANGES[name])
            yield made > 0 if name == "exp" else z3.And(made > -1, made < 1)
        elif atom.term is not None and atom.term.elem == TensorProto.BOOL:
            yield z3.Or(made == 0, made == 1)


def _number(value: Fraction) -> z3.ArithRef:
    return z3.RealVal(str(value))
