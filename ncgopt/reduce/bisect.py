"""Finding the rewrite at fault by hand, and the smallest part of the model that shows it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ncgopt import model as models
from ncgopt.errors import Inconclusive
from ncgopt.pipeline.rollback import Rollback
from ncgopt.pipeline.trial import Trial, Trials
from ncgopt.reduce import bundle as bundles
from ncgopt.reduce.bundle import Bundle
from ncgopt.reduce.experiment import Experiment, Symptom, narrow, wide
from ncgopt.reduce.reduction import Reduction, site_of
from ncgopt.reduce.specimen import Specimen, read_model
from ncgopt.report import Report, Rewrite
from ncgopt.runtime import Worker
from ncgopt.settings import Settings
from ncgopt.verify import verify

Progress = Callable[[str], None]
SECONDS = 120.0


@dataclass(frozen=True)
class Bisection:
    """What was found.

    Attributes:
        report: the run of the pipeline that was looked into.
        bundle: the fault; None where nothing is wrong.
        folder: where the bundle was written.
    """

    report: Report
    bundle: Bundle | None = None
    folder: Path | None = None


def bisect(
    model: str | os.PathLike[str],
    settings: Settings,
    *,
    folder: Path,
    seconds: float = SECONDS,
    progress: Progress | None = None,
) -> Bisection:
    """Optimize `model`; if the result is wrong, find the rewrite at fault and write a bundle that shows it.

    Args:
        model: an ONNX file.
        settings: as for `optimize`; nothing is written but the bundle.
        folder: where the bundle goes; must not exist, or be empty.
        seconds: how long to look for a smaller part; the bisection itself takes what it takes.
        progress: called with one line whenever something begins.

    Raises:
        NcgoptError: as `optimize` does, where no rewrite is to blame.
    """
    bundles.require_free(folder)
    memory = settings.memory_limit
    with Worker(memory=memory) as worker, tempfile.TemporaryDirectory(prefix="ncgopt-") as scratch:
        job = _Job(Path(model), settings, worker, Path(scratch), progress or (lambda _: None), seconds)
        return job.run(folder)


class _Job:
    def __init__(
        self, source: Path, settings: Settings, worker: Worker, scratch: Path, progress: Progress, seconds: float
    ) -> None:
        self._settings, self._worker, self._scratch = settings, worker, scratch
        self._progress, self._seconds = progress, seconds
        self._trials = Trials(source, settings, worker, scratch)

    def run(self, folder: Path) -> Bisection:
        self._progress("optimizing")
        trial = self._trials.run(progress=self._progress)
        report = trial.report
        found = self._guilty(trial)
        if found is None:
            return Bisection(report)
        guilty, reason = found
        report.culprit = guilty.source
        self._progress(f"{guilty.source} at {guilty.where} is at fault")
        whole = self._whole(guilty, reason)
        reduced = self._reduce(guilty, whole)
        bundle = self._bundle(folder, guilty, reason, whole, reduced)
        return Bisection(report, bundle, folder)

    def _guilty(self, trial: Trial) -> tuple[Rewrite, str] | None:
        """The first change at fault, and what happened with it."""
        faults = trial.report.rolled_back
        if faults:
            return Rewrite(faults[0].index, faults[0].source, faults[0].where), faults[0].reason
        if trial.failure is None:
            self._progress("verifying")
            outcome = self._trials.judge(trial)
            if outcome.status == "inconclusive":
                raise Inconclusive(f"{self._trials.source}: {outcome.reason}; --feeds gives it data that it accepts")
            if outcome.status != "failed":
                return None
        self._progress("looking for the rewrite at fault")
        return Rollback(self._trials).find(trial)

    def _whole(self, guilty: Rewrite, reason: str) -> _Whole:
        """The model before and after the change, and inputs with which they differ."""
        whole = _Whole(self._scratch / "before.onnx", self._scratch / "after.onnx", self._scratch / "feeds.npz")
        before = self._trials.run(guilty.index)
        models.save(before.attempt.loaded.model, whole.before, input_external=before.attempt.loaded.external)
        after = self._trials.run(guilty.index + 1)
        if after.failure is not None or after.report.rolled_back or guilty.where == guilty.source:
            whole.symptom = Symptom("raises", reason)
            return whole
        models.save(after.attempt.loaded.model, whole.after, input_external=after.attempt.loaded.external)
        broken = after.attempt.contract.differences(models.Contract.of(after.attempt.loaded.model))
        if broken:
            whole.symptom = Symptom("interface", broken[0])
            return whole
        self._progress("looking for inputs that show it")
        outcome = verify(whole.before, whole.after, self._trials.verify_settings, worker=self._worker, keep=whole.feeds)
        if outcome.status == "failed" and whole.feeds.exists():
            experiment = Experiment(self._settings, guilty.source, self._worker, self._scratch)
            whole.symptom = experiment.compare(whole.before, whole.after, whole.feeds)
        return whole

    def _reduce(self, guilty: Rewrite, whole: _Whole) -> tuple[Experiment, Specimen] | None:
        """A part that shows the fault under the settings of the experiment."""
        if whole.symptom is None:
            return None
        site = site_of(whole.before, whole.after) if whole.after.exists() else []
        for settings in (narrow(self._settings, guilty.source), wide(self._settings)):
            experiment = Experiment(settings, guilty.source, self._worker, self._scratch)
            reduction = Reduction(
                experiment, whole.symptom, whole.before, whole.feeds, self._worker, self._seconds, self._progress
            )
            specimen = reduction.run(site)
            if specimen is not None:
                return experiment, specimen
        return None

    def _bundle(
        self,
        folder: Path,
        guilty: Rewrite,
        reason: str,
        whole: _Whole,
        reduced: tuple[Experiment, Specimen] | None,
    ) -> Bundle:
        nodes = Specimen(read_model(whole.before, weights=False)).nodes
        symptom = whole.symptom or Symptom("differs", reason)
        if reduced is None:
            settings = narrow(self._settings, guilty.source)
            bundle = Bundle(
                str(self._trials.source), guilty.source, guilty.where, reason, symptom, settings,
                reduced=False, nodes=nodes, elements=0, nodes_before=nodes,
            )  # fmt: skip
            bundles.write(folder, bundle, whole.before, whole.after, whole.feeds)
            return bundle
        experiment, specimen = reduced
        seen = experiment.observe(specimen)  # leaves the files that belong together
        bundle = Bundle(
            str(self._trials.source), guilty.source, guilty.where, reason, seen or symptom, experiment.settings,
            reduced=True, nodes=specimen.nodes, elements=specimen.elements, nodes_before=nodes,
        )  # fmt: skip
        bundles.write(folder, bundle, experiment.before, experiment.after, experiment.feeds)
        return bundle


@dataclass
class _Whole:
    """Files of the whole model before and after the change; `after` and `feeds` need not exist."""

    before: Path
    after: Path
    feeds: Path
    symptom: Symptom | None = None


@dataclass(frozen=True)
class Replay:
    """What a bundle shows now.

    Attributes:
        bundle: what it was written for.
        stored: what is wrong with the stored result, with the runtime that is installed.
        fresh: what is wrong with what the installed ncgopt makes of the stored model.
        status: `at fault`, or `gone`.
    """

    bundle: Bundle
    stored: Symptom | None
    fresh: Symptom | None

    @property
    def status(self) -> Literal["at fault", "gone"]:
        """Whether the fault is still there in the installed ncgopt."""
        return "at fault" if self.fresh is not None else "gone"


def replay(folder: Path) -> Replay:
    """Show again what a bundle shows.

    Raises:
        InputUnreadable: this is no bundle.
    """
    bundle = bundles.read(folder)
    memory = bundle.settings.memory_limit
    with Worker(memory=memory) as worker, tempfile.TemporaryDirectory(prefix="ncgopt-") as scratch:
        experiment = Experiment(bundle.settings, bundle.source, worker, Path(scratch))
        stored, after = None, folder / bundles.AFTER
        if after.exists():
            stored = experiment.compare(folder / bundles.BEFORE, after, folder / bundles.FEEDS)
        return Replay(bundle, stored, experiment.observe(bundles.specimen(folder)))
