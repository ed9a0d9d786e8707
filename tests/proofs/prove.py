"""Whether both sides of a firing case are the same, and by which theory that is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx

from ncgopt.rewrite import Claim
from proofs import contractions, definitions, functions, operators, quantized  # noqa: F401  (they register)
from proofs.bits import Bits, CannotSay
from proofs.draws import feeds
from proofs.execute import CannotExecute, Executor, NeedsNumbers, Value
from proofs.rationals import TooLarge
from proofs.reals import Reals
from proofs.terms import Arena, Tensor, Term

MOVES, BITS, REALS, TESTED = "moves", "bits", "reals", "tested"
KINDS = (MOVES, BITS, REALS, TESTED)
"""From the strongest to the weakest."""


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
    arena = Arena()
    outcomes: list[Outcome] = []
    try:
        for fed, expected in feeds(before, arena):
            try:
                actual = Executor(after, arena).run(dict(fed))
            except NeedsNumbers as needs:
                raise CannotExecute(f"only the result asks for numbers of {needs}") from needs
            outcomes.append(_same(expected, actual, claim, _tolerance(before, after)))
    except (CannotExecute, CannotSay, TooLarge) as error:
        return Outcome(TESTED, reason=str(error)[:200])
    return max(
        (Outcome(o.kind, frozenset().union(*(p.laws for p in outcomes)), o.reason) for o in outcomes),
        key=lambda o: KINDS.index(o.kind),
    )


def _same(expected: list[Value], actual: list[Value], claim: Claim, tolerance: float) -> Outcome:
    theories = [Reals(tolerance, expand=False), Reals(tolerance)]
    bits = Bits()
    kind = MOVES
    for a, b in dict.fromkeys(_pairs(expected, actual)):
        if a is b:
            continue
        if claim is Claim.EXACT:
            counterexample = bits.same(a, b)
            if counterexample is not None:
                raise Refuted(f"{a!r} and {b!r} for {counterexample}"[:600])
            kind = BITS
            continue
        if not any(reals.same(a, b) for reals in theories):
            return Outcome(TESTED, reason=f"{a!r} and {b!r}"[:300])
        kind = REALS
    return Outcome(kind, frozenset().union(*(theory.laws for theory in (*theories, bits))))


def _pairs(expected: list[Value], actual: list[Value]) -> Iterator[tuple[Term, Term]]:
    if len(expected) != len(actual):
        raise Refuted(f"{len(actual)} outputs instead of {len(expected)}")
    arena = Arena()
    for a, b in zip(expected, actual, strict=True):
        if not isinstance(a, Tensor) or not isinstance(b, Tensor):
            raise CannotExecute("an output that is no tensor")
        if a.data.shape != b.data.shape or a.elem != b.elem:
            raise Refuted(f"type {b.elem} {b.data.shape} instead of {a.elem} {a.data.shape}")
        yield from zip(a.terms(arena).flat, b.terms(arena).flat, strict=True)


def _tolerance(*models: onnx.ModelProto) -> float:
    """Some units in the last place of the narrowest floats that constants are held in."""
    widths = {np.dtype(np.float32): 2.0**-20}
    return max(widths.values())
