"""Does a result compute what its original computes? Shown by running both, in a child process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ncgopt.errors import InputUnreadable, ModelInvalid
from ncgopt.report import OutputDifference, Verification, VerifyRun, WindowFigures
from ncgopt.runtime.process import Worker, WorkerDied
from ncgopt.runtime.session import LoadError, RunError
from ncgopt.settings import VerifyMode, VerifySettings
from ncgopt.verify import memory
from ncgopt.verify.cases import Case
from ncgopt.verify.compare import excess
from ncgopt.verify.inputs import Survey
from ncgopt.verify.noise import NoiseMeter
from ncgopt.verify.original import Child, Clock, Original, OutOfTime, load_reason
from ncgopt.verify.search import CaseSearch, Found
from ncgopt.verify.verdict import how, notes
from ncgopt.verify.windows.remote import WindowOutcome

Answer = tuple[OutputDifference, ...] | str
_PRECISE_SHARE = 0.05  # of the whole time, for float64
_PRECISE_LEAST = 5.0  # seconds, for float64
_PRECISE_FACTOR = 3.0  # times as long as the original itself took, for float64


class _Inconclusive(Exception):  # control flow inside this package
    """The original could not be run; the text becomes the reason."""


class _Failed(Exception):  # control flow inside this package
    """The result does not do what the original does; the text becomes the reason."""


def verify(
    original: Path,
    result: Path,
    settings: VerifySettings | None = None,
    *,
    worker: Worker | None = None,
    keep: Path | None = None,
) -> Verification:
    """Compare what two model files compute, on data that the original accepts.

    Both run in ONNX Runtime with optimizations off; the result runs again with them on, since that
    is how it will be used. Sizes for symbolic dimensions and inputs are searched for, see
    `bindings.py` and `domains.py`; tolerances are in `tolerance.py`. The interfaces (names, order,
    types) are not compared here, only what is needed to run both.

    Args:
        original: the model that is right.
        result: the model that is judged.
        settings: how to compare; None for the defaults.
        worker: the child process to use; None starts one for this call.
        keep: a `.npz` to write the inputs to with which the result fails worst; not written where it
            fails on none, or where an input is no tensor.

    Returns:
        `passed`, `failed` or `inconclusive`, with every run. The reason of a `passed` is empty, or
        says what limits it (random outputs, only one size of a dimension, ...).

    Raises:
        InputUnreadable: a file is missing, no ONNX model, or no `.npz`; or external data are missing.
        ModelInvalid: ONNX Runtime does not take the original because its content contradicts itself.
        Usage: the user's feeds or pinned dimensions do not fit the model.
        Unavailable: an execution provider is not installed.
    """
    settings = settings or VerifySettings()
    for path in (original, result):
        if not path.is_file():
            raise InputUnreadable(f"{path}: {'is a directory' if path.is_dir() else 'no such file'}")
    with ExitStack() as stack:
        running = worker or stack.enter_context(Worker(memory=settings.memory_limit))
        child = Child(running, settings, Clock(settings.timeout))
        check = _Check(child, original.absolute(), result.absolute(), keep)
        outcome = check.outcome()
        running.call("ncgopt.verify.remote:release")
        return outcome


@dataclass
class _Check:
    """One comparison, from survey to verdict."""

    survey: Survey = field(init=False)
    cases: Sequence[Case] = field(init=False)
    child: Child
    original: Path
    result: Path
    keep: Path | None = None
    notes: list[str] = field(default_factory=list[str])
    runs: list[VerifyRun] = field(default_factory=list[VerifyRun])
    windows: WindowFigures | None = None
    reference: str = ""

    def outcome(self) -> Verification:
        try:
            self._run()
        except _Inconclusive as undecided:
            return self._verdict("inconclusive", str(undecided))
        except _Failed as failed:
            return self._verdict("failed", str(failed))
        except OutOfTime:
            return self._verdict("inconclusive", f"given up after {self.child.clock.seconds:g} s")
        except WorkerDied as death:  # where the result is at fault, that was caught before
            return self._verdict("inconclusive", str(death))
        return self._judged()

    def _verdict(self, status: Literal["passed", "failed", "inconclusive"], reason: str) -> Verification:
        worst = max((output for run in self.runs for output in run.outputs), key=excess, default=None)
        runs, seconds = tuple(self.runs), self.child.clock.elapsed
        return Verification(status, reason, (), runs, worst, seconds, self.windows, self.reference)

    def _judged(self) -> Verification:
        failing = [(run, output) for run in self.runs for output in run.outputs if not output.ok]
        if not failing:
            self.notes += notes(self.runs)
            return self._verdict("passed", "; ".join(self.notes))
        run, output = max(failing, key=lambda pair: excess(pair[1]))
        self._keep(self.runs.index(run))
        sizes = ", ".join(f"{name}={size}" for name, size in run.binding.items())
        where = f"{run.source}{' at ' + sizes if sizes else ''}, {run.level}"
        return self._verdict("failed", f"output {output.output}: {how(output)} ({where})")

    def _run(self) -> None:
        try:
            survey: Survey = self.child.ask("survey_of", self.original)
        except WorkerDied as death:
            raise _Inconclusive(f"reading the original: {death.what}") from None
        self.child.settings = replace(self.child.settings, mode=self._mode(survey))
        self.child.large = survey.bytes >= memory.LARGE
        found, optimize = self._find(survey)
        cases = found.cases
        self.survey, self.cases = survey, cases
        if self.child.settings.mode == "window":
            self._note(survey, found)
            self._by_windows(survey, cases)
            return
        start = time.monotonic()
        random = self._random(survey, found, self._record(survey, cases, optimize))
        self._note(survey, found)
        self._record_precisely(survey, cases, optimize, time.monotonic() - start)
        noise = NoiseMeter(
            self.child,
            self.original,
            survey,
            random,
            optimize,
            open=lambda level: self._open_original(survey, level),
            record=lambda: self._record(survey, cases, optimize),
        )
        for level in (False, True):
            answers = self._answers(survey, cases, level, random, original_optimized=optimize)
            if answers is not None:
                self._judge(cases, answers, level, noise)
            elif not level:
                self._record(survey, cases, optimize)  # finding out about the original overwrote it

    def _mode(self, survey: Survey) -> VerifyMode:
        """Whether to run the models whole, or piece by piece."""
        asked = self.child.settings.mode
        if asked != "auto":
            return asked
        room, needed = memory.available(), memory.NEEDED * survey.bytes
        limit = self.child.settings.memory_limit
        if room is None or (limit is not None and limit < room):
            room = limit
        if room is None or needed <= room:
            return "whole"
        self.notes.append(
            f"compared by windows: {needed / 1e9:.1f} GB to run the model whole, of which {room / 1e9:.1f} GB are left"
        )
        return "window"

    def _by_windows(self, survey: Survey, cases: Sequence[Case]) -> None:
        arguments = self.original, self.result, survey, cases, self.child.settings
        try:
            outcome: WindowOutcome = self.child.ask("check_windows", *arguments)
        except (LoadError, RunError) as error:
            raise _Inconclusive(f"the original ran before, but not again: {error}") from None
        except WorkerDied as death:
            if "the result" in death.stage:
                raise _Failed(f"{death}, where the original runs") from None
            raise
        self.windows = outcome.figures
        self.runs += outcome.runs
        self.notes += outcome.notes
        if outcome.failure:
            raise _Failed(outcome.failure)
        if outcome.figures.too_large:
            raise _Inconclusive("; ".join(self.notes))

    def _find(self, survey: Survey) -> tuple[Found, bool]:
        """Cases that the original runs, with optimizations off or, failing that, on."""
        reasons: list[str] = []
        for optimize in (False, True):
            try:
                original = Original(self.child, self.original, survey, optimize)
                original.open()
                files = self._user_cases(survey)
                found = CaseSearch(original, self.child.settings.draws, self.child.settings.seed).run()
                self._add_files(original, found, files)
            except LoadError as error:
                self.child.ask("require_readable", self.original)
                reasons.append(load_reason(error, survey))
                continue
            except WorkerDied as death:
                reasons.append(str(death))
                continue
            if found.cases:
                if optimize:
                    self.notes.append("the original runs only with ONNX Runtime's optimizations on")
                return found, optimize
            refusals = [*original.crashes, *found.refusals]
            reasons.append(
                f"the original refused all data in {original.trials} attempts"
                + (f", for example: {refusals[0]}" if refusals else "")
            )
        raise _Inconclusive(reasons[0])

    def _user_cases(self, survey: Survey) -> list[Case]:
        cases: list[Case] = []
        for path in self.child.settings.feeds:
            binding = self.child.ask("sizes_in_feeds", path.absolute(), survey)
            cases.append(Case(tuple(sorted(binding.items())), file=path.absolute()))
        return cases

    def _add_files(self, original: Original, found: Found, files: Sequence[Case]) -> None:
        for case in files:
            trial = original.attempt(case)
            if trial.refusal is not None:
                raise _Inconclusive(f"{case.source}: the original refuses it: {trial.refusal}")
            found.add(case, trial)

    def _record(self, survey: Survey, cases: Sequence[Case], optimize: bool) -> list[tuple[bytes, ...]]:
        """Run the original on the cases in a fresh session, as the result will be; digests of its outputs.

        A fresh session starts random operators anew, so all sides must run the same cases in the
        same order.
        """
        try:
            self._open_original(survey, optimize)
            return self.child.ask("record", survey, cases)
        except (WorkerDied, LoadError, RunError) as death:
            raise _Inconclusive(f"the original ran before, but not again: {death}") from None

    def _record_precisely(self, survey: Survey, cases: Sequence[Case], optimize: bool, taken: float) -> None:
        """Compute the cases in float64 where that can be had; `taken` seconds were the original's own."""
        seconds = min(_PRECISE_SHARE * self.child.clock.seconds, max(_PRECISE_LEAST, _PRECISE_FACTOR * taken))
        try:
            lacks: str = self.child.ask("record_precisely", self.original, survey, cases, seconds)
        except WorkerDied as death:
            lacks = str(death)
            self._record(survey, cases, optimize)
        self.reference = lacks or "float64"

    def _open_original(self, survey: Survey, optimize: bool) -> None:
        self.child.open(self.original, "the original", optimize)
        if survey.overridable:
            names = tuple(given.name for given in survey.overridable)
            self.child.ask("remember_defaults", self.original, names)

    def _note(self, survey: Survey, found: Found) -> None:
        never = [name for name, finite in zip(survey.outputs, found.finites, strict=True) if finite == 0.0]
        if never:
            self.notes.append(f"NaN or infinite everywhere on the data used: {', '.join(never)}")
        if found.constant and survey.inputs and len(found.cases) > 1:
            self.notes.append("the outputs did not depend on the data used")
        if found.single:
            sizes = ", ".join(f"{name}={size}" for name, size in found.single[:4])
            self.notes.append(f"only one size found for {sizes}")

    def _random(self, survey: Survey, found: Found, digests: Sequence[tuple[bytes, ...]]) -> tuple[str, ...]:
        """Outputs in which the original differs from itself, run again in the same session.

        Looked into where a random operator is known, or where the bits differ from those of the search.
        """
        if not survey.random and digests == found.digests:
            return ()
        again: list[Answer] = self.child.ask("compare_with_recorded", survey, list(enumerate(found.cases)), ())
        random = {
            output.output for answer in again if not isinstance(answer, str) for output in answer if not output.ok
        }
        if random:
            names = ", ".join(name for name in survey.outputs if name in random)
            self.notes.append(f"random outputs, compared by shape and type only: {names}")
        return tuple(name for name in survey.outputs if name in random)

    def _answers(
        self, survey: Survey, cases: Sequence[Case], level: bool, random: tuple[str, ...], *, original_optimized: bool
    ) -> list[Answer] | None:
        """The result's answers at one level; None where the original itself cannot be used at it."""
        what = f"the result with optimizations {'on' if level else 'off'}"
        try:
            names = self.child.open(self.result, "the result", level)
            if not level or not original_optimized:
                self._same_inputs(survey, names)
            answers: list[Answer] = self.child.ask(
                "compare_with_recorded", survey, list(enumerate(cases)), random, True
            )
            problem = next((answer for answer in answers if isinstance(answer, str)), None)
        except LoadError as error:
            self._require_readable_result()
            answers, problem = [], str(error)
        except WorkerDied as error:
            answers, problem = [], str(error)
        if problem is None:
            if survey.random and random:
                self._require_random(survey, cases, random)
            return answers
        if level != original_optimized and self._original_fails_too(survey, cases, level):
            self.notes.append(f"not run with optimizations {'on' if level else 'off'}: the original fails there too")
            return None
        self._keep(next((number for number, answer in enumerate(answers) if isinstance(answer, str)), 0))
        raise _Failed(f"{what} does not run where the original does: {problem}")

    def _require_random(self, survey: Survey, cases: Sequence[Case], random: tuple[str, ...]) -> None:
        """Values of random outputs cannot be compared, but they must not be the same on every run either."""
        frozen: list[str] = self.child.ask("frozen", survey, cases, random)
        if frozen:
            raise _Failed(f"output {frozen[0]} is random in the original, and the same on every run of the result")

    def _keep(self, number: int) -> None:
        """Write the inputs of a run where the caller wants them; runs repeat the cases, level by level."""
        if self.keep is not None:
            self.child.ask("keep_feeds", self.survey, self.cases[number % len(self.cases)], self.original, self.keep)

    def _require_readable_result(self) -> None:
        """A file that cannot be read is the user's business; a model that is invalid has failed."""
        with suppress(ModelInvalid):
            self.child.ask("require_readable", self.result)

    def _same_inputs(self, survey: Survey, names: tuple[str, ...]) -> None:
        lost = [given.name for given in (*survey.inputs, *survey.overridable) if given.name not in names]
        if lost and any(given.name == lost[0] for given in survey.inputs):
            raise _Failed(f"the result has no input {lost[0]}")

    def _original_fails_too(self, survey: Survey, cases: Sequence[Case], level: bool) -> bool:
        try:
            self._open_original(survey, level)
            self.child.ask("record", survey, cases)
        except (LoadError, RunError, WorkerDied):
            return True
        return False

    def _judge(self, cases: Sequence[Case], answers: Sequence[Answer], level: bool, noise: NoiseMeter) -> None:
        """Turn answers into runs; where one is out of its limit, the original's own noise is measured first."""
        differences = {number: answer for number, answer in enumerate(answers) if not isinstance(answer, str)}
        judged = noise.judge(dict(enumerate(cases)), differences, level)
        for case, outputs in zip(cases, judged, strict=True):
            self.runs.append(
                VerifyRun(case.source, dict(case.binding), "enable-all" if level else "disable-all", outputs)
            )
