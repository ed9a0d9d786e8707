"""The main job: load, rewrite, verify, write; or raise, and leave everything as it was."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ncgopt import model as models
from ncgopt.errors import Inconclusive, NcgoptError, Usage, VerificationFailed
from ncgopt.pipeline.attempt import Attempt
from ncgopt.pipeline.exploration import explore
from ncgopt.pipeline.rollback import Rollback
from ncgopt.pipeline.run import Progress
from ncgopt.pipeline.trial import Trial, Trials
from ncgopt.report import Report, RolledBack, Verification
from ncgopt.runtime import Worker
from ncgopt.settings import Settings


def optimize(
    model: str | os.PathLike[str],
    settings: Settings,
    *,
    output: Path | None = None,
    in_place: bool = False,
    progress: Progress | None = None,
    worker: Worker | None = None,
    ended: Sequence[RolledBack] = (),
) -> Report:
    """Rewrite the model at `model`, prove that it computes the same, and write it.

    Args:
        model: an ONNX file.
        settings: what to do.
        output: where to write; `MODEL.opt.onnx` beside the input by default.
        in_place: replace the input instead.
        progress: called with one line whenever something begins.
        worker: a child process to use, which stays the caller's; one of our own without it.
        ended: passes and rules that took earlier runs of the same job down; they are left out.

    Raises:
        NcgoptError: see `ncgopt.errors`. Nothing was written; `error.report` says how far it came,
            where it came far enough to say something.
    """
    source = Path(model)
    target = _target(source, output, in_place=in_place)
    job = _Job(source, target, settings, progress or (lambda _: None), in_place=in_place)
    job.ended = ended
    start = time.perf_counter()
    try:
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ncgopt-"))
            job.worker = worker if worker is not None else stack.enter_context(Worker(memory=settings.memory_limit))
            return job.run(Path(folder))
    except NcgoptError as error:
        if job.report is not None:
            error.report = job.report
        raise
    finally:
        job.close()
        if job.report is not None:
            job.report.seconds = time.perf_counter() - start


def _target(source: Path, output: Path | None, *, in_place: bool) -> Path:
    if in_place:
        if output is not None:
            raise Usage("an output path and in-place exclude each other")
        return source
    return models.destination(source, output, "opt", instead="; say --in-place to replace it")


_LOWERED = 0.95  # of the original's peak: above that it is tried whether the usual rewrites are in the way


class _Job:
    """One call of `optimize`; the report is there as soon as the model is loaded."""

    worker: Worker

    def __init__(self, source: Path, target: Path, settings: Settings, progress: Progress, *, in_place: bool) -> None:
        self.source, self.target, self.in_place = source, target, in_place
        self.settings, self.progress = settings, progress
        self.ended: Sequence[RolledBack] = ()
        self._trials: Trials | None = None

    @property
    def report(self) -> Report | None:
        """How far the last run of the pipeline came."""
        return self._trials.report if self._trials is not None else None

    def close(self) -> None:
        """Let go of what runs beside."""
        if self._trials is not None:
            self._trials.close()

    def run(self, folder: Path) -> Report:
        trial, trials = self._made(folder)
        if self.settings.objective is not None:
            trial, trials = self._with_peak(trial, trials, folder)
        if self.settings.verify and trial.attempt.is_lossy:
            trial.report.lossy = trials.loss()
        self._write(trial.attempt, trial.report)
        return trial.report

    def _made(self, folder: Path) -> tuple[Trial, Trials]:
        """A verified result."""
        trials = self._trials = Trials(self.source, self.settings, self.worker, folder)
        rollback = Rollback(trials)
        for one in self.ended:
            rollback.exclude(one)
        self.progress("loading")
        found = explore(trials, rollback.avoided, folder, self.progress) if self.settings.search else None
        trials.begin_verifying()
        trial = self._until_good(trials.run(rollback.limit, rollback.avoided, self.progress), trials, rollback)
        measured = self.settings.measure or self.settings.objective == "latency"
        if measured or self.settings.fail_if_slower is not None:
            trial = self._measured(trial, trials, rollback)
        trial.report.search = found
        return trial, trials

    def _with_peak(self, trial: Trial, trials: Trials, folder: Path) -> tuple[Trial, Trials]:
        """Note the peak; where the usual rewrites stand in the way of a lower one, do without them."""
        from ncgopt.pipeline.objective import MEMORY, peak_of  # not needed without an objective

        self.progress("predicting the peak")
        graph = trial.attempt.loaded.model.graph
        before = peak_of(trials.original, graph, self.settings, self.worker)
        after = peak_of(trials.keep(trial), graph, self.settings, self.worker)
        if before is None or after is None:
            return trial, trials
        peak = trial.report.peak = dataclasses.replace(before, after=after.after)
        narrow = self.settings.objective == "memory" and self.settings.passes is None
        if not narrow or peak.after <= peak.before * _LOWERED:
            return trial, trials
        self.settings = dataclasses.replace(self.settings, passes=MEMORY)
        (folder / "narrow").mkdir()
        other, others = self._made(folder / "narrow")
        found = peak_of(others.keep(other), graph, self.settings, self.worker)
        if found is None or found.after >= min(peak.after, peak.before):
            if peak.after <= peak.before:
                self._trials = trials
                return trial, trials
            other.report.notes.append("the usual rewrites would have raised the peak; they were left out")
        else:
            other.report.notes.append("without the usual rewrites the peak is lower; they were left out")
        other.report.peak = dataclasses.replace(before, after=found.after if found is not None else before.before)
        return other, others

    def _until_good(self, trial: Trial, trials: Trials, rollback: Rollback) -> Trial:
        """A run whose result is right: this one, or one without what is at fault."""
        trial.report.rolled_back[:0] = rollback.rolled_back
        while not self._is_good(trial, trials):
            self._blame(trial, trials, rollback)
            trial = trials.run(rollback.limit, rollback.avoided, self.progress)
            trial.report.rolled_back[:0] = rollback.rolled_back
        return trial

    def _measured(self, trial: Trial, trials: Trials, rollback: Rollback) -> Trial:
        """A run without what does not pay, where that is asked for.

        Raises:
            Slower: the result is slower than the user allows.
        """
        from ncgopt.pipeline.profit import Profit  # not needed where nothing is measured

        profit = Profit(trials, rollback, self.progress)

        def good(another: Trial) -> Trial:
            return self._until_good(another, trials, rollback)

        if self.settings.measure or self.settings.objective == "latency":
            refined = profit.refine(trial)
            trial = trial if refined is trial else good(refined)
        trial = profit.settle(trial, good, take_back=self.settings.measure or self.settings.objective == "latency")
        profit.tell(trial.report)
        profit.check(trial.report)
        return trial

    def _is_good(self, trial: Trial, trials: Trials) -> bool:
        """Verify; False where the result is wrong, or there is none. Raises where nothing could be shown."""
        if trial.failure is not None:
            return False
        if not self.settings.verify:
            trial.report.verification = Verification("skipped", "verification was switched off")
            return True
        self.progress("verifying")
        outcome = trials.judge(trial)
        if outcome.status == "inconclusive" and not self.settings.allow_unverified:
            raise Inconclusive(
                f"{self.source}: {outcome.reason}; nothing was written (--feeds gives it data that it accepts, "
                "--allow-unverified writes without proof)"
            )
        return outcome.status != "failed"

    def _blame(self, trial: Trial, trials: Trials, rollback: Rollback) -> None:
        """Have the change at fault left out of the next run.

        Raises:
            UnsoundRewrite, VerificationFailed: it must not be left out, or cannot be.
        """
        report = trial.report
        if self.settings.strict and trial.failure is not None:
            raise trial.failure
        self.progress("looking for the rewrite at fault")
        try:
            guilty = rollback.blame(trial)
        finally:
            trials.report = report
        if self.settings.strict:
            raise VerificationFailed(
                f"{self.source}: {report.verification.reason}, after {guilty.source} at {guilty.where}; "
                "nothing was written"
            )

    def _write(self, attempt: Attempt, report: Report) -> None:
        if self.settings.dry_run:
            report.status = "dry-run"
            return
        self.progress("writing")
        saved = models.save(
            attempt.loaded.model,
            self.target,
            external_data=self.settings.external_data,
            input_external=attempt.loaded.external,
            replaces=self.source if self.in_place else None,
        )
        report.status, report.output, report.files = "written", str(self.target), saved.files
        assert report.after is not None
        report.after = dataclasses.replace(report.after, file_bytes=saved.bytes)
        report.notes += [f"{path} is no longer used, but could not be removed" for path in saved.left_over]
