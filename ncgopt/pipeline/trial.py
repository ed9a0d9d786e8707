"""Runs of the pipeline over one model, each from its file on, and what verification says of each."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from ncgopt import model as models
from ncgopt.errors import UnsoundRewrite, VerificationFailed
from ncgopt.pipeline.attempt import Attempt, Start
from ncgopt.pipeline.run import Progress
from ncgopt.records import record
from ncgopt.report import Report, Verification
from ncgopt.rewrite.avoided import Avoided
from ncgopt.runtime import Worker, WorkerDied
from ncgopt.search.replay import Step
from ncgopt.settings import Settings, VerifySettings

if TYPE_CHECKING:
    from ncgopt.verify import Ahead
    from ncgopt.verify.inputs import Survey
    from ncgopt.verify.once import Comparison

_ORIGINAL, _LOSSY, _UPGRADED, _RESULT = "original.onnx", "lossy.onnx", "upgraded.onnx", "result.onnx"
_FAILING = "failing.npz"
_NOTHING = Avoided()


def _silent(_: str) -> None:
    return


@record
class Trial:
    """One run of the pipeline.

    Attributes:
        attempt: the model as it was left, and the report.
        failure: what ended the run before its time; the model is then of no use.
    """

    attempt: Attempt
    failure: UnsoundRewrite | None

    @property
    def report(self) -> Report:
        """What happened."""
        return self.attempt.report


class Trials:
    """Runs and judges.

    Args:
        source: the model.
        settings: what to do.
        worker: child process for everything that ONNX Runtime must compute.
        folder: where files may be put that are compared; the last result stays there.

    Attributes:
        steps: rewrites that every run makes first, see `ncgopt.search`.
    """

    def __init__(self, source: Path, settings: Settings, worker: Worker, folder: Path) -> None:
        self.source, self.settings, self.worker, self._folder = source, settings, worker, folder
        self.report: Report | None = None
        self.steps: tuple[Step, ...] = ()
        self._links: bool | None = None
        self._ahead: Ahead | None = None

    def begin_verifying(self) -> None:
        """Have the child run the original while the first run of the pipeline makes what it will be compared with.

        What it finds is used by the first comparison, or by none.
        """
        if self._ahead is not None or not self.settings.verify or self._needs_copy or not self.source.is_file():
            return
        from ncgopt.verify import Ahead

        self.worker.start("onnxruntime")
        self._ahead = Ahead(self.source, self.verify_settings, self.worker)

    def close(self) -> None:
        """Let go of what was begun."""
        if self._ahead is not None:
            self._ahead.stop()

    @property
    def result(self) -> Path:
        """Where the last result that was judged lies."""
        return self._folder / _RESULT

    def run(self, limit: int | None = None, avoided: Avoided = _NOTHING, progress: Progress = _silent) -> Trial:
        """Load the model, make at most `limit` changes, and none of `avoided`.

        Leaves the files that verification compares with, and in `self.report` how far the run came.

        Raises:
            NcgoptError: what no change is to blame for.
        """
        attempt = Attempt(self.source, self.settings, self.worker, limit=limit, avoided=avoided, steps=self.steps)
        self.report = attempt.report
        if self._needs_copy and attempt.loaded.external and not (self._folder / _ORIGINAL).exists():
            self._save(attempt, self._folder / _ORIGINAL)
        if attempt.is_lossy and self.settings.opset and self.settings.verify:
            self._check_upgrade(attempt)
        lossy = (lambda: self._save(attempt, self._folder / _LOSSY)) if attempt.is_lossy else None
        try:
            attempt.run(progress, lossy)
        except UnsoundRewrite as failure:
            return Trial(attempt, failure)
        return Trial(attempt, None)

    def begin(self, avoided: Avoided, progress: Progress = _silent) -> Start:
        """Load the model and run only what comes before the rules."""
        attempt = Attempt(self.source, self.settings, self.worker, avoided=avoided)
        self.report = attempt.report
        return attempt.prepare(progress)

    def judge(self, trial: Trial) -> Verification:
        """Interface first, which costs nothing; then numbers. Also noted in the report of the trial."""
        attempt = trial.attempt
        broken = attempt.contract.differences(models.Contract.of(attempt.loaded.model))
        if broken:
            outcome = Verification("failed", f"the interface differs: {broken[0]}", interface=broken)
        else:
            outcome = self._compare(self.reference(trial), self.keep(trial), keep=self._folder / _FAILING)
        trial.report.verification = outcome
        return outcome

    def shows(self, trial: Trial, failed: Verification) -> bool:
        """Whether a result is wrong as another one was found to be, which is asked about many.

        Where it can be told from the inputs alone with which that one failed worst, only these are run; a
        result that does not show this may still be wrong in another way. Else this judges the result.
        """
        attempt = trial.attempt
        if attempt.contract.differences(models.Contract.of(attempt.loaded.model)):
            return True
        feeds = self._folder / _FAILING
        if failed.status != "failed" or failed.windows is not None or not feeds.exists() or self._survey.random:
            return self.judge(trial).status != "passed"
        self.keep(trial)
        limits: dict[str, float] = {}
        for output in (output for run in failed.runs for output in run.outputs):
            limits[output.output] = max(output.limit, limits.get(output.output, 0.0))
        arguments = self.reference(trial), self.result, feeds, self.verify_settings, self._survey.quantizes, limits
        try:
            found: Comparison = self.worker.call(
                "ncgopt.verify.once:compare", *arguments, timeout=self.settings.verification.timeout
            )
        except WorkerDied:
            return True
        return not found.usable or bool(found.problem) or (found.worst is not None and not found.worst.ok)

    def keep(self, trial: Trial) -> Path:
        """Where the result of a run lies from now on, until another one's takes its place."""
        self._save(trial.attempt, self.result)
        return self.result

    def reference(self, trial: Trial) -> Path:
        """What the result of a run is compared with: the original, after the lossy passes if there were any."""
        return self._folder / _LOSSY if trial.attempt.is_lossy else self.original

    @functools.cached_property
    def _survey(self) -> Survey:
        return self.worker.call("ncgopt.verify.remote:survey_of", self.original)

    def loss(self) -> Verification:
        """What the lossy passes of the last run cost."""
        return self._compare(self.original, self._folder / _LOSSY)

    @property
    def original(self) -> Path:
        """The model as it was, in a place where ONNX Runtime reads it."""
        copy = self._folder / _ORIGINAL
        return copy if copy.exists() else self.source

    def _check_upgrade(self, attempt: Attempt) -> None:
        """Compare the upgraded model with the original by itself, where lossy passes come between it and the result."""
        path = self._folder / _UPGRADED
        if path.exists():
            return
        self._save(attempt, path)
        outcome = self._compare(self.original, path)
        if outcome.status == "failed":
            attempt.report.verification = outcome
            raise VerificationFailed(self.upgrade_at_fault(outcome.reason))

    def upgrade_at_fault(self, reason: str) -> str:
        """What to say where no rewrite is to blame."""
        return f"{self.source}: {reason}, after the upgrade to operator set {self.settings.opset}; nothing was written"

    @property
    def _needs_copy(self) -> bool:
        """Whether a plain copy must stand for the original: where its data lie behind links.

        ONNX Runtime refuses external data that leave the model's folder. Reading and writing such
        a model without a change is what the round-trip tests of `ncgopt.model` are about.
        """
        return self.settings.verify and self.settings.trust_links

    def _compare(self, reference: Path, result: Path, keep: Path | None = None) -> Verification:
        from ncgopt.verify import verify  # not needed where nothing is verified

        if keep is not None:
            keep.unlink(missing_ok=True)
        ahead, self._ahead = self._ahead, None
        return verify(reference, result, self.verify_settings, worker=self.worker, keep=keep, ahead=ahead)

    @property
    def verify_settings(self) -> VerifySettings:
        """How to compare: dimensions that the model's interface loses are pinned."""
        settings = self.settings.verification
        return dataclasses.replace(
            settings, bind={**settings.bind, **self.settings.bind}, memory_limit=self.settings.memory_limit
        )

    def _save(self, attempt: Attempt, path: Path) -> None:
        if self._links is None:
            self._links = self.worker.call("ncgopt.runtime.links:accepted", self._folder)
        models.write_beside(attempt.loaded.model, path, links=self._links is True)
