"""Where an output is ill-conditioned, the original's own noise decides how far the result may be.

Three measures of it, each a run of the original against itself on the same feeds, taken only when
a comparison fails:

- with ONNX Runtime's optimizations on against off: another order of the same arithmetic;
- on inputs moved by a few rounding errors: the backward error of any evaluation in that precision;
- with every weight moved by at most one unit in the last place, taken only where the other two do
  not explain the difference: the backward error of rounding weights once more, which every fold of
  one weight into another has, however exactly it computes.

Why this hides no miscompile: the limit grows with what *such small* changes do to this very model
on this very data, so its size is bounded by the model's own conditioning. A unit in the last place
of a float32 is a relative change of 2^-23 at most; a weight that is wrong by 1 % is wrong by more
than 80,000 of them. It can only be excused where rounding all other weights moves the output more
than changing that one weight 40,000-fold does, and then nobody can tell the two apart by looking at
outputs. In a well-conditioned model the noise is some 1e-7 of the output's scale, far below
the table's limit, which then stands. A model that is chaotic excuses much, and the report says so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from ncgopt.errors import InputUnreadable
from ncgopt.report import OutputDifference
from ncgopt.runtime.process import WorkerDied
from ncgopt.runtime.session import LoadError
from ncgopt.verify.cases import Case
from ncgopt.verify.compare import excess
from ncgopt.verify.inputs import Survey
from ncgopt.verify.original import Child
from ncgopt.verify.tolerance import NOISE_FACTOR

JITTER_UNITS = 4.0  # rounding errors by which inputs are moved

Differences: TypeAlias = tuple[OutputDifference, ...]
_Measure: TypeAlias = Literal["optimizations", "inputs", "weights"]


def allow(
    difference: OutputDifference, noise: Sequence[OutputDifference], optimizing: OutputDifference | None = None
) -> OutputDifference:
    """The difference with its limit raised to `NOISE_FACTOR` times the noise of the same output.

    Args:
        difference: result against original; returned as it is where it is within its limit.
        noise: the original against itself by all measures, same output, same inputs.
        optimizing: the one of them that ONNX Runtime's optimizations make, where the result ran with
            them on too. Only then may the pattern of NaN and infinities differ, and as often as
            theirs; or the shape, if theirs does.
    """
    if difference.ok:
        return difference
    if difference.detail:
        return _allow_detail(difference, noise, optimizing)
    numeric = [other for other in noise if not other.detail]
    largest = max((other.max_abs for other in numeric), default=0.0)
    if difference.limit == 0.0:
        tied = 0 < difference.mismatches <= _flips(numeric)
        return replace(difference, limit=difference.max_abs, noise=largest) if tied else difference
    factor = NOISE_FACTOR * max((excess(other) for other in numeric), default=0.0)
    limit = difference.limit * max(1.0, factor)
    if _turned(difference) > NOISE_FACTOR * max((_turned(other) for other in numeric), default=0):
        what = f"{_turned(difference)} of {difference.decided} rows have their largest element elsewhere"
        return replace(difference, limit=limit, noise=largest, detail=what)
    if difference.error_limit is None:
        return replace(difference, limit=limit, noise=largest)
    # What the original does to itself, it may also do to its distance from float64.
    error_limit = max(difference.error_limit, factor * difference.limit)
    return replace(difference, limit=limit, noise=largest, error_limit=error_limit)


def _allow_detail(
    difference: OutputDifference, noise: Sequence[OutputDifference], optimizing: OutputDifference | None
) -> OutputDifference:
    """What differs in a way that no number tells; `mismatches` is 0 where it is dtype or shape."""
    if difference.detail.endswith("strings differ"):
        excused = difference.mismatches <= _flips(noise)
    elif optimizing is None or not optimizing.detail:
        excused = False
    elif difference.mismatches == 0:
        excused = difference.detail.startswith("shape") and optimizing.detail.startswith("shape")
    else:
        excused = difference.mismatches <= _flips([optimizing])
    return replace(difference, detail="", noise=float("inf")) if excused else difference


def _turned(difference: OutputDifference) -> int:
    """Rows that were decided and are decided otherwise."""
    return (difference.decided or 0) - (difference.agreeing or 0)


def _flips(noise: Sequence[OutputDifference]) -> float:
    return NOISE_FACTOR * max((other.mismatches for other in noise), default=0)


@dataclass
class NoiseMeter:
    """Measures the noise of one original on cases whose outputs the child has recorded.

    Attributes:
        child: where it runs.
        original: the model file.
        survey: what it expects.
        random: outputs whose values are random.
        level: whether its outputs were recorded with optimizations on.
        open: opens the original at an optimization level, ready for the cases.
        record: records the outputs again, after a child died with them.
    """

    child: Child
    original: Path
    survey: Survey
    random: tuple[str, ...]
    level: bool
    open: Callable[[bool], object]
    record: Callable[[], object]
    _measured: dict[tuple[_Measure, int], Differences | None] = field(
        default_factory=dict[tuple[_Measure, int], "Differences | None"]
    )

    def judge(self, cases: Mapping[int, Case], found: Mapping[int, Differences], optimized: bool) -> list[Differences]:
        """Differences of the result with limits that the original's noise raised, where they need that.

        Args:
            cases: by the number under which the child has recorded them.
            found: result against original, per case and output.
            optimized: the result ran with ONNX Runtime's optimizations on.
        """
        judged = dict(found)
        stages: tuple[tuple[_Measure, ...], ...] = ("optimizations", "inputs"), ("weights",)
        for measures in stages:
            suspicious = [number for number, outputs in judged.items() if not all(output.ok for output in outputs)]
            for measure in measures:
                self._take(measure, {n: cases[n] for n in suspicious if (measure, n) not in self._measured})
            judged |= {number: self._allowed(number, found[number], optimized) for number in suspicious}
        return [judged[number] for number in found]

    def _allowed(self, number: int, outputs: Differences, optimized: bool) -> Differences:
        measured = {name: noise for (name, at), noise in self._measured.items() if at == number and noise is not None}
        optimizing = measured.get("optimizations") if optimized else None
        return tuple(
            allow(output, [noise[at] for noise in measured.values()], optimizing[at] if optimizing else None)
            for at, output in enumerate(outputs)
        )

    def _take(self, measure: _Measure, cases: Mapping[int, Case]) -> None:
        """Take one measure; what cannot be measured excuses nothing."""
        if not cases:
            return
        self._measured |= {(measure, number): None for number in cases}
        try:
            match measure:
                case "optimizations":
                    self.open(not self.level)
                    self._compare(measure, cases)
                case "inputs":
                    self.open(self.level)
                    self._compare(measure, {n: case.with_jitter(JITTER_UNITS) for n, case in cases.items()})
                case "weights":
                    self._with_nudged_weights(cases)
        except (LoadError, InputUnreadable, OSError):
            return
        except WorkerDied:
            self.record()

    def _with_nudged_weights(self, cases: Mapping[int, Case]) -> None:
        with tempfile.TemporaryDirectory(prefix="ncgopt-") as folder:
            copy: Path | None = self.child.ask("write_nudged", self.original, Path(folder), self.child.settings.seed)
            if copy is not None:
                self.child.open(copy, "the original, its weights moved by rounding errors,", self.level)
                self._compare("weights", cases)
                self.child.ask("close")  # Windows removes no file that is in use

    def _compare(self, measure: _Measure, cases: Mapping[int, Case]) -> None:
        answers: list[Differences | str] = self.child.ask(
            "compare_with_recorded", self.survey, list(cases.items()), self.random
        )
        for number, answer in zip(cases, answers, strict=True):
            if not isinstance(answer, str):
                self._measured[measure, number] = answer
