"""Which cases to run: bindings and data that the original accepts and that tell something."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ncgopt.errors import Usage
from ncgopt.verify.bindings import Binding, Search
from ncgopt.verify.cases import Case, Trial
from ncgopt.verify.feeds import Draw, Floats, Ints
from ncgopt.verify.inputs import Choice, Condition, Symbol, tensor_of
from ncgopt.verify.original import Original

_MAX_TRIALS = 600
_SEARCH_SHARE = 0.25  # of the whole time
_MAX_DRAWS = 6
_MAX_CRASHES = 4
_SCALES: tuple[Floats, ...] = ("unit", "small")
_REAL = ("float32", "float16", "float64", "bfloat16")
_SINGLE_OVERRIDES = 12
_DULL = 0.01  # of its scale; an output that data moves less says little about the model

# Ways to fill inputs when the natural one is refused, from natural to odd.
_FALLBACKS = (
    Draw(floats="unit"),
    Draw(ints="small"),
    Draw(floats="unit", ints="ones"),
    Draw(ints="zeros"),
    Draw(floats="bytes", ints="ones"),
    Draw(number=1),
    Draw(number=2),
    Draw(number=3),
    Draw(floats="zeros", ints="zeros"),
    Draw(floats="ones", ints="ones"),
)
_ABOUT_DATA = ("indices", "index", "out of", "range", "bound", "must be", "value", "axis", "crash", "time")


@dataclass
class Found:
    """Cases that the original ran, and what they are worth.

    Attributes:
        cases: in the order to be run.
        digests: what came out, per case.
        refusals: why others did not run, most frequent first.
        single: symbols for which only one size was found, with that size.
        finites: per output, the largest part of it that was finite in a case.
    """

    cases: list[Case] = field(default_factory=list[Case])
    digests: list[tuple[bytes, ...]] = field(default_factory=list[tuple[bytes, ...]])
    sketches: list[tuple[tuple[float, ...], ...]] = field(default_factory=list[tuple[tuple[float, ...], ...]])
    refusals: list[str] = field(default_factory=list[str])
    single: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    finites: tuple[float, ...] = ()

    @property
    def constant(self) -> bool:
        """Whether data never changed the outputs: under each binding all draws gave the same bits."""
        by_binding: dict[tuple[tuple[str, int], ...], set[tuple[bytes, ...]]] = {}
        for case, digests in zip(self.cases, self.digests, strict=True):
            by_binding.setdefault(case.binding, set()).add(digests)
        return all(len(different) == 1 for different in by_binding.values())

    def dull(self) -> frozenset[int]:
        """Outputs that the data so far hardly changed, under any binding."""
        by_binding: dict[tuple[tuple[str, int], ...], list[tuple[tuple[float, ...], ...]]] = {}
        for case, sketches in zip(self.cases, self.sketches, strict=True):
            by_binding.setdefault(case.binding, []).append(sketches)
        count = min((len(sketches) for sketches in self.sketches), default=0)
        return frozenset(
            output
            for output in range(count)
            if all(_spread([sketches[output] for sketches in group]) < _DULL for group in by_binding.values())
        )

    def is_as_finite(self, trial: Trial) -> bool:
        """Whether a case gave of some output no fewer finite values than those before."""
        return not self.finites or any(new >= old for old, new in zip(self.finites, trial.finites, strict=True))

    def add(self, case: Case, trial: Trial) -> None:
        """Keep a case that ran."""
        self.cases.append(case)
        self.digests.append(trial.digests)
        self.sketches.append(trial.sketches)
        before = self.finites or (0.0,) * len(trial.finites)
        self.finites = tuple(max(old, new) for old, new in zip(before, trial.finites, strict=True))


@dataclass
class CaseSearch:
    """The search for cases on one original."""

    original: Original
    draws: int
    seed: int
    found: Found = field(default_factory=Found)
    _way: Draw = field(default_factory=Draw)

    def run(self) -> Found:
        """Search bindings, then data for each of them, then overrides of defaults.

        Raises:
            Usage: a pinned symbol does not exist.
        """
        survey = self.original.survey
        pinned = self.original.child.settings.bind
        known = {symbol.name for symbol in survey.symbols}
        unknown = [name for name in pinned if name not in known]
        if unknown:
            raise Usage(
                f"no symbolic dimension {unknown[0]} to bind; the model has {', '.join(sorted(known)) or 'none'}"
            )
        search = Search(survey.symbols, self._accepts, pinned, self._more)
        bindings = search.run()
        self.found.refusals = list(dict.fromkeys(search.refusals.values()))
        for binding in bindings:
            self._draws(binding)
        if self.found.cases:
            # By windows, every run reads all weights, and data are made up for each window besides.
            if self.original.child.settings.mode != "window":
                self._scales(max(bindings, key=self._roominess))
                self._liven()
            self._overrides()
            self.found.single = _single(survey.symbols, [b for b in bindings if b], pinned)
        return self.found

    def _more(self) -> bool:
        clock = self.original.child.clock
        return (
            self.original.trials < _MAX_TRIALS
            and clock.elapsed < _SEARCH_SHARE * clock.seconds
            and len(self.original.crashes) < _MAX_CRASHES
        )

    def _accepts(self, binding: Binding) -> str | None:
        """Try a binding with data as natural as it takes; remembers the way of filling that worked."""
        trial = self._attempt(binding, self._way)
        if trial.refusal is None:
            return None
        about_data = any(word in trial.refusal.lower() for word in _ABOUT_DATA)
        if about_data or not self.original.survey.symbols or self.original.trials < 4:
            for way in _FALLBACKS:
                if not self._more():
                    break
                if self._attempt(binding, way).refusal is None:
                    self._way = way
                    return None
        return trial.refusal

    def _attempt(self, binding: Binding, draw: Draw) -> Trial:
        return self.original.attempt(_case(binding, draw, self.seed))

    def _draws(self, binding: Binding) -> None:
        """As many draws as asked for, more where conditions or constants must be met both ways."""
        for number in range(self._count()):
            ran: list[tuple[Case, Trial]] = []
            for draw in itertools.islice(self._fillings(number), 6):
                case = _case(binding, draw, self.seed)
                trial = self.original.attempt(case)
                if trial.refusal is not None:
                    continue
                ran.append((case, trial))
                if trial.finite == 1.0:
                    break
            for best in _finite_each(ran):
                if best[0] not in self.found.cases:
                    self.found.add(*best)

    def _count(self) -> int:
        turns = [self.draws]
        for given in self.original.survey.inputs:
            match given.domain:
                case Choice(values=values):
                    turns.append(len(values) + 1)
                case Condition():
                    turns.append(2)
                case _:
                    pass
        return min(max(turns), max(_MAX_DRAWS, self.draws))

    def _fillings(self, number: int) -> Iterator[Draw]:
        """Draws of even number are natural, of odd number full of special values; then milder ones."""
        way = self._way
        first = "mixed" if number % 2 and way.floats == "normal" else way.floats
        yield Draw(number, first, way.ints)
        yield Draw(number, way.floats, way.ints, seed=1)
        yield Draw(number, "unit", way.ints)
        yield Draw(number, "small", way.ints)
        yield Draw(number + way.number, way.floats, "small")
        yield Draw(way.number, way.floats, way.ints, seed=2 + number)

    def _roominess(self, binding: Binding) -> tuple[int, int]:
        """Most lengths and pixels first, then the smallest batch: what shows most for its time."""
        sizes = [(binding[symbol.name], symbol.role) for symbol in self.original.survey.symbols]
        return math.prod(n for n, role in sizes if role != "batch"), -math.prod(
            n for n, role in sizes if role == "batch"
        )

    def _scales(self, binding: Binding) -> None:
        """Float data of other scales, once: what saturates at one scale does not at another."""
        if not any(tensor_of(given.type).dtype in _REAL for given in self.original.survey.inputs):
            return
        for number, floats in enumerate(_SCALES):
            case = _case(binding, Draw(number, floats, self._way.ints), self.seed)
            trial = self.original.attempt(case)
            if trial.refusal is None and case not in self.found.cases and self.found.is_as_finite(trial):
                self.found.add(case, trial)

    def _liven(self) -> None:
        """Where the data hardly changed an output (a saturated score, say), look for data that does."""
        if not self.original.survey.inputs:
            return
        base = dict(self.found.cases[0].binding)
        way = self._way.ints
        lively: tuple[tuple[Floats, Ints], ...]
        lively = (
            ("bytes", way),
            ("large", way),
            ("small", "small"),
            ("ones", "ones"),
            ("zeros", "zeros"),
            ("odd", way),
        )
        for floats, ints in lively:
            dull = self.found.dull()
            if not (dull or self.found.constant) or not self._more():
                return
            case = _case(base, Draw(0, floats, ints), self.seed)
            trial = self.original.attempt(case)
            if trial.refusal is not None or trial.digests in self.found.digests:
                continue
            candidate = Found([*self.found.cases, case], sketches=[*self.found.sketches, trial.sketches])
            if self.found.constant or candidate.dull() != dull:
                self.found.add(case, trial)

    def _overrides(self) -> None:
        """Give inputs with defaults another value: all at once, or else all floats and single others."""
        overridable = self.original.survey.overridable
        if not overridable:
            return
        names = tuple(given.name for given in overridable)
        floats = tuple(given.name for given in overridable if "float" in str(given.type))
        self.original.remember_defaults(names)
        if self._override(names):
            return
        taken = bool(floats) and self._override(floats)
        rest = [name for name in names if not taken or name not in floats]
        for name in rest[:_SINGLE_OVERRIDES]:
            self._override((name,))

    def _override(self, names: tuple[str, ...]) -> bool:
        first = self.found.cases[0]
        case = Case(first.binding, first.draw, overrides=names, file=first.file)
        trial = self.original.attempt(case)
        if trial.crashed:
            self.original.remember_defaults(tuple(given.name for given in self.original.survey.overridable))
        if trial.refusal is None:
            self.found.add(case, trial)
        return trial.refusal is None


def _finite_each(ran: Sequence[tuple[Case, Trial]]) -> list[tuple[Case, Trial]]:
    """For each output the first of the trials that gave most finite values of it, most natural first.

    Not one trial for all: an output that is finite only where all data are positive, say, must not keep
    the others from being seen with data of both signs.
    """
    outputs = zip(*(trial.finites for _, trial in ran), strict=True)
    firsts = {finites.index(max(finites)) for finites in outputs}
    return [ran[k] for k in sorted(firsts or {0})] if ran else []


def _spread(sketches: Sequence[tuple[float, ...]]) -> float:
    """Largest change of an element between draws, relative to the largest element; 0 for one draw."""
    if len({len(sketch) for sketch in sketches}) > 1:
        return 1.0  # the data even decides how many elements there are
    scale = max((abs(x) for sketch in sketches for x in sketch if math.isfinite(x)), default=0.0)
    columns = ([x for x in column if math.isfinite(x)] for column in zip(*sketches, strict=True))
    change = max((max(column) - min(column) for column in columns if column), default=0.0)
    return change / scale if scale else 0.0


def _case(binding: Binding, draw: Draw, seed: int) -> Case:
    seeded = Draw(draw.number, draw.floats, draw.ints, draw.seed + 1000 * seed, draw.jitter)
    return Case(tuple(sorted(binding.items())), seeded)


def _single(symbols: Sequence[Symbol], bindings: Sequence[Binding], pinned: object) -> list[tuple[str, int]]:
    names = [symbol.name for symbol in symbols if not (isinstance(pinned, dict) and symbol.name in pinned)]
    sizes = {name: {binding[name] for binding in bindings if name in binding} for name in names}
    return [(name, next(iter(found))) for name, found in sizes.items() if len(found) == 1]
