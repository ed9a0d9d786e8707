"""Polynomials with integer coefficients over atoms, and their canonical text.

Canonical is the expanded form, terms in a fixed order. An atom is a word, a name in angle brackets,
or one of a few functions of two canonical expressions (`floor(h, 2)`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

Monomial = tuple[str, ...]
"""Its atoms, sorted; one that occurs twice is a square."""
Polynomial = dict[Monomial, int]
"""Factors by monomial, none of them zero."""

FUNCTIONS = frozenset({"floor", "max", "min", "mod", "broadcast"})
_WORD = re.compile(r"[^\W\d]\w*")
_TOKEN = re.compile(r"\s*(?:(\d+)|([-+*(),])|([^\W\d]\w*)|(<))")
_MAX_TERMS = 24  # beyond it an expression is of no use to anybody
_MAX_LENGTH = 400  # the same for what is nested


class NotAnExpression(ValueError):
    """Text that is no expression."""


def polynomial(dim: int | str) -> Polynomial:
    """The polynomial that a number or a canonical text stands for; not to be changed."""
    return ({(): dim} if dim else {}) if isinstance(dim, int) else parse(dim)


def text_of(terms: Polynomial) -> int | str | None:
    """The canonical form; None for one that is too long."""
    if not terms:
        return 0
    if len(terms) > _MAX_TERMS:
        return None
    if len(terms) == 1 and () in terms:
        return terms[()]
    pieces: list[str] = []
    for monomial in sorted(terms, key=lambda m: (-len(m), m)):
        factor = terms[monomial]
        parts = [*([str(abs(factor))] if abs(factor) != 1 or not monomial else []), *monomial]
        sign = "-" if factor < 0 else "+"
        pieces.append(f" {sign} {'*'.join(parts)}" if pieces else ("-" if factor < 0 else "") + "*".join(parts))
    found = "".join(pieces)
    return found if len(found) <= _MAX_LENGTH else None


def total(a: Polynomial, b: Polynomial, sign: int = 1) -> Polynomial:
    """`a + sign * b`."""
    result = dict(a)
    for monomial, factor in b.items():
        result[monomial] = result.get(monomial, 0) + sign * factor
    return {m: f for m, f in result.items() if f}


def times(a: Polynomial, b: Polynomial) -> Polynomial:
    """`a * b`."""
    result: Polynomial = {}
    for left, x in a.items():
        for right, y in b.items():
            monomial = tuple(sorted((*left, *right)))
            result[monomial] = result.get(monomial, 0) + x * y
    return {m: f for m, f in result.items() if f}


def quotient(a: Polynomial, b: Polynomial) -> Polynomial | None:
    """`a / b` by long division with the leading terms; None where something is left, or for `b = 0`."""
    if not b:
        return None
    rest, lead = dict(a), max(b, key=_rank)
    result: Polynomial = {}
    for _ in range(_MAX_TERMS):
        if not rest:
            return result
        top = max(rest, key=_rank)
        monomial = _without(top, lead)
        if monomial is None or rest[top] % b[lead]:
            return None
        term = {monomial: rest[top] // b[lead]}
        result = total(result, term)
        rest = total(rest, times(term, b), -1)
    return None


def _rank(monomial: Monomial) -> tuple[int, Monomial]:
    return len(monomial), monomial


def _without(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    rest = list(monomial)
    for atom in divisor:
        if atom not in rest:
            return None
        rest.remove(atom)
    return tuple(rest)


@functools.lru_cache(maxsize=16384)
def call_of(atom: str) -> tuple[str, tuple[int | str | None, ...]]:
    """An atom such as `floor(h, 2)` as its name and arguments; the name is empty for anything else."""
    parser = _Parser(atom)
    name = parser.take()
    if name not in FUNCTIONS or parser.peek() != "(":
        return "", ()
    arguments = parser.arguments()
    return (name, arguments) if not parser.peek() else ("", ())


@functools.lru_cache(maxsize=16384)
def parse(text: str) -> Polynomial:
    """The polynomial that `text` stands for; not to be changed.

    Raises:
        NotAnExpression: `text` is none.
    """
    parser = _Parser(text)
    result = parser.whole()
    if parser.peek():
        raise NotAnExpression(text)
    return result


class _Parser:
    """Recursive descent over `whole = term {(+|-) term}`, `term = factor {* factor}`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._position = 0

    def peek(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self._position += 1
        return token

    def whole(self) -> Polynomial:
        result = self._term()
        while self.peek() in ("+", "-"):
            sign = 1 if self.take() == "+" else -1
            result = total(result, self._term(), sign)
        return result

    def arguments(self) -> tuple[int | str | None, ...]:
        """Two expressions in brackets, in canonical form."""
        self.take()
        found = [self.whole()]
        while self.peek() == ",":
            self.take()
            found.append(self.whole())
        if self.take() != ")" or len(found) != 2:
            raise NotAnExpression(self._text)
        return tuple(text_of(argument) for argument in found)

    def _term(self) -> Polynomial:
        result = self._factor()
        while self.peek() == "*":
            self.take()
            result = times(result, self._factor())
        return result

    def _factor(self) -> Polynomial:
        token = self.take()
        if token == "-":
            return times({(): -1}, self._factor())
        if token == "(":
            result = self.whole()
            if self.take() != ")":
                raise NotAnExpression(self._text)
            return result
        if token.isdigit():
            return {(): int(token)} if int(token) else {}
        if token in FUNCTIONS and self.peek() == "(":
            a, b = self.arguments()
            return {(f"{token}({a}, {b})",): 1}
        if token and (_WORD.fullmatch(token) or token.startswith("<")):
            return {(token,): 1}
        raise NotAnExpression(self._text)


def _tokens(text: str) -> Iterator[str]:
    position = 0
    while position < len(text.rstrip()):
        found = _TOKEN.match(text, position)
        if found is None:
            raise NotAnExpression(text)
        if found[4]:
            end = _closing(text, found.start(4))
            yield text[found.start(4) : end]
            position = end
        else:
            yield found[1] or found[2] or found[3]
            position = found.end()


def _closing(text: str, start: int) -> int:
    depth = 0
    for index in range(start, len(text)):
        depth += (text[index] == "<") - (text[index] == ">")
        if depth == 0:
            return index + 1
    raise NotAnExpression(text)
