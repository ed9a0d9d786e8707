"""What is right: the original, on cases that it takes, with what it computes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ncgopt.report import OutputDifference
from ncgopt.runtime.process import WorkerDied
from ncgopt.runtime.session import LoadError, RunError
from ncgopt.verify.cases import Case
from ncgopt.verify.inputs import Survey
from ncgopt.verify.original import Child, Original, OutOfTime, load_reason
from ncgopt.verify.search import CaseSearch, Found

_PRECISE_SHARE = 0.05  # of the whole time, for float64
_PRECISE_LEAST = 5.0  # seconds, for float64
_PRECISE_FACTOR = 3.0  # times as long as the original itself took, for float64


class Undecided(Exception):  # control flow inside this package
    """The original could not be run; the text becomes the reason."""


@dataclass
class Reference:
    """The original at the optimization level at which it runs.

    Attributes:
        child: where it runs, and keeps what it computed.
        path: the model file.
        survey: what it expects.
        optimize: whether ONNX Runtime optimizes it.
        found: the cases, and what they are worth.
    """

    child: Child
    path: Path
    survey: Survey
    optimize: bool
    found: Found

    @classmethod
    def find(cls, child: Child, path: Path, survey: Survey) -> Reference:
        """Cases that the original runs, with optimizations off or, failing that, on.

        Raises:
            Undecided: there are none.
            OutOfTime: there was no time left to look for any.
            WorkerDied: there is too little memory for it.
        """
        reasons: list[str] = []
        for optimize in (False, True):
            try:
                original = Original(child, path, survey, optimize)
                original.open()
                files = _user_cases(child, survey)
                found = CaseSearch(original, child.settings.draws, child.settings.seed).run()
                _add_files(original, found, files)
            except LoadError as error:
                child.ask("require_readable", path)
                reasons.append(load_reason(error, survey))
                continue
            except WorkerDied as death:
                if death.out_of_memory:
                    raise
                reasons.append(str(death))
                continue
            if found.cases:
                return cls(child, path, survey, optimize, found)
            if not original.trials:
                raise OutOfTime
            refusals = [*original.crashes, *found.refusals]
            reasons.append(
                f"the original refused all data in {original.trials} attempts"
                + (f", for example: {refusals[0]}" if refusals else "")
            )
        raise Undecided(reasons[0])

    @property
    def cases(self) -> Sequence[Case]:
        """The cases."""
        return self.found.cases

    def open(self, optimize: bool) -> None:
        """Open it at a level, ready for the cases."""
        self.child.open(self.path, "the original", optimize)
        if self.survey.overridable:
            names = tuple(given.name for given in self.survey.overridable)
            self.child.ask("remember_defaults", self.path, names)

    def record(self) -> list[tuple[bytes, ...]]:
        """Run it on the cases in a fresh session, as the result will be; digests of its outputs.

        A fresh session starts random operators anew, so all sides must run the same cases in the
        same order.

        Raises:
            Undecided: it does not run again.
        """
        try:
            self.open(self.optimize)
            return self.child.ask("record", self.survey, self.cases)
        except (WorkerDied, LoadError, RunError) as death:
            raise Undecided(f"the original ran before, but not again: {death}") from None

    def record_precisely(self, taken: float) -> str:
        """Compute the cases in float64 where that can be had; `taken` seconds were the original's own.

        Returns:
            Why some of them could not be computed; empty where all were.
        """
        seconds = min(_PRECISE_SHARE * self.child.clock.seconds, max(_PRECISE_LEAST, _PRECISE_FACTOR * taken))
        try:
            return self.child.ask("record_precisely", self.path, self.survey, self.cases, seconds)
        except WorkerDied as death:
            self.record()
            return str(death)

    def random(self, digests: Sequence[tuple[bytes, ...]]) -> tuple[str, ...]:
        """Outputs in which it differs from itself, run again in the session that recorded it.

        Looked into where a random operator is known, or where the bits differ from those of the search.
        """
        if not self.survey.random and digests == self.found.digests:
            return ()
        again: list[tuple[OutputDifference, ...] | str] = self.child.ask(
            "compare_with_recorded", self.survey, list(enumerate(self.cases)), ()
        )
        random = {
            output.output for answer in again if not isinstance(answer, str) for output in answer if not output.ok
        }
        return tuple(name for name in self.survey.outputs if name in random)

    def fails_at(self, level: bool) -> bool:
        """Whether it does not run at a level; what was recorded is another level's then."""
        try:
            self.open(level)
            self.child.ask("record", self.survey, self.cases)
        except (LoadError, RunError, WorkerDied):
            return True
        return False

    def notes(self) -> list[str]:
        """What limits what the cases can show."""
        found, notes = self.found, list[str]()
        if self.optimize:
            notes.append("the original runs only with ONNX Runtime's optimizations on")
        never = [name for name, finite in zip(self.survey.outputs, found.finites, strict=True) if finite == 0.0]
        if never:
            notes.append(f"NaN or infinite everywhere on the data used: {', '.join(never)}")
        if found.constant and self.survey.inputs and len(found.cases) > 1:
            notes.append("the outputs did not depend on the data used")
        if found.single:
            sizes = ", ".join(f"{name}={size}" for name, size in found.single[:4])
            notes.append(f"only one size found for {sizes}")
        return notes


def _user_cases(child: Child, survey: Survey) -> list[Case]:
    cases: list[Case] = []
    for path in child.settings.feeds:
        binding = child.ask("sizes_in_feeds", path.absolute(), survey)
        cases.append(Case(tuple(sorted(binding.items())), file=path.absolute()))
    return cases


def _add_files(original: Original, found: Found, files: Sequence[Case]) -> None:
    for case in files:
        trial = original.attempt(case)
        if trial.refusal is not None:
            raise Undecided(f"{case.source}: the original refuses it: {trial.refusal}")
        found.add(case, trial)
