"""Whether both sides of a firing case are the same, and by which theory that is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx
from onnx import TensorProto

from ncgopt.rewrite import Claim
from proofs import contractions, definitions, functions, operators, quantized, scatter  # noqa: F401  (they register)
from proofs.bits import Bits, CannotSay
from proofs.draws import feeds
from proofs.execute import HANDLERS, CannotExecute, Executor, NeedsNumbers, Value
from proofs.exhaustion import values_that_differ
from proofs.pieces import counterexample, same_in_pieces
from proofs.rationals import TooLarge
from proofs.reals import COMPOSED, Reals
from proofs.sharing import generalized, numbered
from proofs.terms import Arena, Tensor, Term, numpy_type

MOVES, BITS, REALS, TESTED = "moves", "bits", "reals", "tested"
KINDS = (MOVES, BITS, REALS, TESTED)
"""From the strongest to the weakest."""
DEFINED = {
    *COMPOSED,
    "Attention",
    *(name for name, handler in HANDLERS.items() if handler.__module__ in (definitions.__name__, quantized.__name__)),
}
"""Operators that are made of others."""


@dataclass(frozen=True)
class Outcome:
    """How a case was shown; `laws` are what the proof takes for granted, `reason` why there is none."""

    kind: str
    laws: frozenset[str] = frozenset()
    reason: str = ""


class Refuted(Exception):
    """Both sides differ."""


def prove(before: onnx.ModelProto, after: onnx.ModelProto, claim: Claim) -> Outcome:
    """Compare both models on symbols.

    Raises:
        Refuted: an element differs, or the models give tensors of other shapes or types.
    """
    judge = Judge(Arena(), claim)
    try:
        for fed, expected in feeds(before, judge.arena):
            try:
                actual = Executor(after, judge.arena).run(dict(fed))
            except NeedsNumbers as needs:
                raise CannotExecute(f"only the result asks for numbers of {needs}") from needs
            except CannotExecute as error:
                raise CannotExecute(f"only the result: {error}") from error
            for a, b in dict.fromkeys(_pairs(expected, actual, judge.arena)):
                judge.compare(a, b)
    except (CannotExecute, CannotSay, TooLarge) as error:
        return Outcome(TESTED, reason=str(error)[:300])
    return Outcome(judge.kind, frozenset(judge.laws | _taken_at_their_word(before, after)))


def _taken_at_their_word(before: onnx.ModelProto, after: onnx.ModelProto) -> set[str]:
    """Operators that only the result has, and that are proven to be what they are documented to be, not what they do."""
    new = _operators(after) - _operators(before)
    return {f"{name} is what its specification says" for name in new if name in DEFINED}


def _operators(model: onnx.ModelProto) -> set[str]:
    found: set[str] = set()
    todo = [model.graph.node, *(f.node for f in model.functions)]
    while todo:
        for node in todo.pop():
            found.add(node.op_type)
            todo += [a.g.node for a in node.attribute if a.HasField("g")]
    return found


class Judge:
    """Compares terms at the level of a claim; `kind` is the weakest theory that was needed so far."""

    def __init__(self, arena: Arena, claim: Claim) -> None:
        self.arena = arena
        self.kind = MOVES
        self.laws: set[str] = set()
        self._exact = claim is Claim.EXACT
        self._ranged = claim is Claim.RANGED
        self._answered: set[tuple[Term, Term]] = set()

    def compare(self, a: Term, b: Term) -> None:
        """Note how both are shown to be equal.

        Raises:
            Refuted: they are not.
            CannotSay: there is no telling.
        """
        if a is b:
            return
        try:
            self._as_a_whole(a, b)
        except CannotSay:
            if (a.op, a.attributes, len(a.args)) != (b.op, b.attributes, len(b.args)) or not a.args:
                raise
            self._by_parts(a, b)

    def _by_parts(self, a: Term, b: Term) -> None:
        """The same function of the same arguments."""
        for x, y in zip(a.args, b.args, strict=True):
            try:
                self.compare(x, y)
            except Refuted as error:
                raise CannotSay(f"{a!r} and {b!r}: {error}") from error

    def _as_a_whole(self, a: Term, b: Term) -> None:
        small, whole = generalized(a, b, self.arena), numbered(a, b, self.arena)
        if small in self._answered:
            return
        integer = numpy_type(a.elem).kind in "iub"
        if not self._exact and (self._by_normal_form(*small) or self._by_normal_form(*whole)):
            return self._note(REALS, small)
        if self._exact or integer:
            try:
                self._by_bits(a, b, small, whole)
                return self._note(BITS, small)
            except CannotSay:
                if self._exact:
                    raise
        if self._by_pieces(*small) or self._by_pieces(*whole):
            return self._note(REALS, small)
        if not integer:
            self._refute(a, b)
        raise CannotSay(f"{a!r} and {b!r}")

    def _note(self, kind: str, question: tuple[Term, Term]) -> None:
        self._answered.add(question)
        self.kind = max(self.kind, kind, key=KINDS.index)

    def _by_normal_form(self, a: Term, b: Term, *, note: bool = True) -> bool:
        for expand in (False, True):
            reals = Reals(_tolerance(a, b), expand=expand)
            try:
                if reals.same(a, b):
                    self.laws |= reals.laws if note else set()
                    return True
            except TooLarge:
                continue
        return False

    def _by_bits(self, a: Term, b: Term, small: tuple[Term, Term], whole: tuple[Term, Term]) -> None:
        if numpy_type(a.elem).kind not in "iub" and not self._by_normal_form(*small, note=False):
            self._refute(*whole)
        for x, y in (small, whole):
            differs = values_that_differ(x, y)
            if differs == "":
                return
            bits = Bits()
            try:
                differs = differs or bits.same(x, y)
            except CannotSay:
                if (x, y) != whole:
                    continue
                raise
            if differs is None:
                self.laws |= bits.laws
                return
        raise Refuted(f"{a!r} and {b!r} for {differs}"[:600])

    def _by_pieces(self, a: Term, b: Term) -> bool:
        reals = Reals(0.0)
        try:
            if same_in_pieces(reals, a, b):
                self.laws |= reals.laws
                return True
        except TooLarge:
            pass
        return False

    def _refute(self, a: Term, b: Term) -> None:
        try:
            numbers = counterexample(Reals(0.0), a, b)
        except TooLarge:
            return
        if numbers and not self._ranged:
            raise Refuted(f"{a!r} and {b!r} for {numbers}"[:600])


def _pairs(expected: list[Value], actual: list[Value], arena: Arena) -> Iterator[tuple[Term, Term]]:
    if len(expected) != len(actual):
        raise Refuted(f"{len(actual)} outputs instead of {len(expected)}")
    for a, b in zip(expected, actual, strict=True):
        if not isinstance(a, Tensor) or not isinstance(b, Tensor):
            raise CannotExecute("an output that is no tensor")
        if a.data.shape != b.data.shape or a.elem != b.elem:
            raise Refuted(f"type {b.elem} {b.data.shape} instead of {a.elem} {a.data.shape}")
        yield from zip(a.terms(arena).flat, b.terms(arena).flat, strict=True)


_PRECISION = {TensorProto.FLOAT16: 2.0**-9, TensorProto.BFLOAT16: 2.0**-6, TensorProto.DOUBLE: 2.0**-20}


def _tolerance(*terms: Term) -> float:
    """A few units in the last place of the narrowest floats among the constants: rules round what they fold."""
    found, seen, todo = 2.0**-20, set(), list(terms)
    while todo:
        term = todo.pop()
        if term not in seen:
            seen.add(term)
            todo += term.args
            if term.op == "constant":
                found = max(found, _PRECISION.get(term.elem, 0.0))
    return found
