"""Does a result compute what its original computes? Shown by running both, in a child process."""

from __future__ import annotations

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
from ncgopt.verify.ahead import Ahead
from ncgopt.verify.baseline import Baseline
from ncgopt.verify.cases import Case
from ncgopt.verify.compare import excess
from ncgopt.verify.inputs import Survey
from ncgopt.verify.noise import NoiseMeter
from ncgopt.verify.original import Child, Clock, OutOfTime
from ncgopt.verify.reference import Reference, Undecided
from ncgopt.verify.verdict import how, notes
from ncgopt.verify.windows.remote import WindowOutcome

Answer = tuple[OutputDifference, ...] | str


class _Failed(Exception):  # control flow inside this package
    """The result does not do what the original does; the text becomes the reason."""


def verify(
    original: Path,
    result: Path,
    settings: VerifySettings | None = None,
    *,
    worker: Worker | None = None,
    keep: Path | None = None,
    ahead: Ahead | None = None,
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
        ahead: what the child process was given to do about this original beforehand.

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
        baseline, clock = ahead.take(original, settings) if ahead is not None else (None, Clock(settings.timeout))
        child = baseline.child if baseline is not None else Child(running, settings, clock)
        check = _Check(child, original.absolute(), result.absolute(), keep, baseline)
        outcome = check.outcome()
        running.call("ncgopt.verify.remote:release")
        return outcome


@dataclass
class _Check:
    """One comparison, from survey to verdict."""

    child: Child
    original: Path
    result: Path
    keep: Path | None = None
    baseline: Baseline | None = None
    notes: list[str] = field(default_factory=list[str])
    runs: list[VerifyRun] = field(default_factory=list[VerifyRun])
    windows: WindowFigures | None = None
    precision: str = ""
    _reference: Reference | None = None

    def outcome(self) -> Verification:
        try:
            self._run()
        except Undecided as undecided:
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
        return Verification(status, reason, (), runs, worst, seconds, self.windows, self.precision)

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
        if self.baseline is not None:
            self._whole(self.baseline)
            return
        try:
            survey: Survey = self.child.ask("survey_of", self.original)
        except WorkerDied as death:
            raise Undecided(f"reading the original: {death.what}") from None
        asked = self.child.settings.mode
        self.child.large = survey.bytes >= memory.LARGE
        mode, why = memory.mode_for(self.child.settings, survey.bytes)
        self.notes += [why] if why else []
        self._choose(mode)
        if mode == "window":
            self._by_windows(survey)
            return
        try:
            self._whole(Baseline.of(self._find(survey)))
        except WorkerDied as death:
            if asked != "auto" or not death.out_of_memory:
                raise
            self.notes, self.runs = [f"compared by windows: {death}"], []
            self._choose("window")
            self._by_windows(survey)

    def _choose(self, mode: VerifyMode) -> None:
        self.child.settings = replace(self.child.settings, mode=mode)

    def _find(self, survey: Survey) -> Reference:
        self._reference = Reference.find(self.child, self.original, survey)
        return self._reference

    def _whole(self, baseline: Baseline) -> None:
        """Both models run whole, one after the other; the original has."""
        reference = self._reference = baseline.reference
        self.notes += baseline.notes
        self.precision = baseline.precision
        for level in (False, True):
            answers = self._answers(reference, level, baseline.random)
            if answers is not None:
                self._judge(reference.cases, answers, level, baseline.noise)
            elif not level:
                reference.record()  # finding out about the original overwrote it

    def _by_windows(self, survey: Survey) -> None:
        """Both models run piece by piece, see `windows`."""
        reference = self._find(survey)
        self.notes += reference.notes()
        arguments = self.original, self.result, survey, reference.cases, self.child.settings
        try:
            outcome: WindowOutcome = self.child.ask("check_windows", *arguments)
        except (LoadError, RunError) as error:
            raise Undecided(f"the original ran before, but not again: {error}") from None
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
            raise Undecided("; ".join(self.notes))

    def _answers(self, reference: Reference, level: bool, random: tuple[str, ...]) -> list[Answer] | None:
        """The result's answers at one level; None where the original itself cannot be used at it."""
        what = f"the result with optimizations {'on' if level else 'off'}"
        survey, cases = reference.survey, reference.cases
        try:
            names = self.child.open(self.result, "the result", level)
            if not level or not reference.optimize:
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
        if level != reference.optimize and reference.fails_at(level):
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
        found = self._reference
        if self.keep is not None and found is not None:
            case = found.cases[number % len(found.cases)]
            self.child.ask("keep_feeds", found.survey, case, self.original, self.keep)

    def _require_readable_result(self) -> None:
        """A file that cannot be read is the user's business; a model that is invalid has failed."""
        with suppress(ModelInvalid):
            self.child.ask("require_readable", self.result)

    def _same_inputs(self, survey: Survey, names: tuple[str, ...]) -> None:
        lost = [given.name for given in (*survey.inputs, *survey.overridable) if given.name not in names]
        if lost and any(given.name == lost[0] for given in survey.inputs):
            raise _Failed(f"the result has no input {lost[0]}")

    def _judge(self, cases: Sequence[Case], answers: Sequence[Answer], level: bool, noise: NoiseMeter) -> None:
        """Turn answers into runs; where one is out of its limit, the original's own noise is measured first."""
        differences = {number: answer for number, answer in enumerate(answers) if not isinstance(answer, str)}
        judged = noise.judge(dict(enumerate(cases)), differences, level)
        for case, outputs in zip(cases, judged, strict=True):
            self.runs.append(
                VerifyRun(case.source, dict(case.binding), "enable-all" if level else "disable-all", outputs)
            )
