"""The main job: load, rewrite, verify, write; or raise, and leave everything as it was."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from pathlib import Path

from ncgopt import model as models
from ncgopt.errors import CannotWrite, Inconclusive, NcgoptError, Usage, VerificationFailed
from ncgopt.pipeline.attempt import Attempt
from ncgopt.pipeline.culprit import first_bad
from ncgopt.pipeline.run import Progress
from ncgopt.report import Report, Verification
from ncgopt.runtime import Worker
from ncgopt.settings import Settings, VerifySettings
from ncgopt.verify import verify


def optimize(
    model: str | os.PathLike[str],
    settings: Settings,
    *,
    output: Path | None = None,
    in_place: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Rewrite the model at `model`, prove that it computes the same, and write it.

    Args:
        model: an ONNX file.
        settings: what to do.
        output: where to write; `MODEL.opt.onnx` beside the input by default.
        in_place: replace the input instead.
        progress: called with one line whenever something begins.

    Raises:
        NcgoptError: see `ncgopt.errors`. Nothing was written; `error.report` says how far it came,
            where it came far enough to say something.
    """
    source = Path(model)
    target = _target(source, output, in_place=in_place)
    job = _Job(source, target, settings, progress or (lambda _: None), in_place=in_place)
    start = time.perf_counter()
    try:
        with Worker() as job.worker, tempfile.TemporaryDirectory(prefix="ncgopt-") as folder:
            job.worker.start()
            return job.run(Path(folder))
    except NcgoptError as error:
        if job.report is not None:
            error.report = job.report
        raise
    finally:
        if job.report is not None:
            job.report.seconds = time.perf_counter() - start


def _target(source: Path, output: Path | None, *, in_place: bool) -> Path:
    if in_place:
        if output is not None:
            raise Usage("an output path and in-place exclude each other")
        return source
    target = output if output is not None else source.with_name(f"{source.stem}.opt.onnx")
    if target.exists() and source.exists() and target.samefile(source):
        raise Usage(f"{target} is the input itself; say --in-place to replace it")
    if target.is_dir():
        raise CannotWrite(f"{target} is a directory")
    if not target.absolute().parent.is_dir():
        raise CannotWrite(f"{target}: its folder does not exist")
    return target


class _Job:
    """One call of `optimize`; the report is there as soon as the model is loaded."""

    worker: Worker

    def __init__(self, source: Path, target: Path, settings: Settings, progress: Progress, *, in_place: bool) -> None:
        self.source, self.target, self.in_place = source, target, in_place
        self.settings, self.progress = settings, progress
        self.report: Report | None = None

    def run(self, folder: Path) -> Report:
        self.progress("loading")
        attempt = Attempt(self.source, self.settings, self.worker)
        self.report = report = attempt.report
        reference = self._reference(attempt, folder)
        lossy = folder / "lossy.onnx"
        attempt.run(self.progress, (lambda: self._save(attempt, lossy)) if attempt.is_lossy else None)
        if self.settings.verify:
            self._verify(attempt, lossy if attempt.is_lossy else reference, folder, report)
            if attempt.is_lossy:
                report.lossy = self._compare(reference, lossy)
        else:
            report.verification = Verification("skipped", "verification was switched off")
        self._write(attempt, report)
        return report

    def _reference(self, attempt: Attempt, folder: Path) -> Path:
        """The file that stands for the original; a plain copy where its data lie behind links.

        ONNX Runtime refuses external data that leave the model's folder. Reading and writing such
        a model without a change is what the round-trip tests of `ncgopt.model` are about.
        """
        if not (self.settings.verify and self.settings.trust_links and attempt.loaded.external):
            return self.source
        copy = folder / "original.onnx"
        self._save(attempt, copy)
        return copy

    def _save(self, attempt: Attempt, path: Path) -> None:
        models.save(attempt.loaded.model, path, input_external=attempt.loaded.external)

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
        report.status, report.output = "written", str(self.target)
        report.after = models.stats(attempt.loaded.model, saved.bytes)
        report.notes += [f"{path} is no longer used, but could not be removed" for path in saved.left_over]

    def _verify(self, attempt: Attempt, reference: Path, folder: Path, report: Report) -> None:
        self.progress("verifying")
        outcome = report.verification = self._judge(attempt, reference, folder / "result.onnx")
        if outcome.status == "failed":
            guilty = self._find_culprit(reference, folder, report)
            raise VerificationFailed(f"{self.source}: {outcome.reason}{guilty}; nothing was written")
        if outcome.status == "inconclusive" and not self.settings.allow_unverified:
            raise Inconclusive(
                f"{self.source}: {outcome.reason}; nothing was written (--feeds gives it data that it accepts, "
                "--allow-unverified writes without proof)"
            )

    def _judge(self, attempt: Attempt, reference: Path, result: Path) -> Verification:
        """Interface first, which costs nothing; then numbers."""
        broken = attempt.contract.differences(models.Contract.of(attempt.loaded.model))
        if broken:
            return Verification("failed", f"the interface differs: {broken[0]}", interface=broken)
        self._save(attempt, result)
        return self._compare(reference, result)

    def _compare(self, reference: Path, result: Path) -> Verification:
        return verify(reference, result, self._verify_settings(), worker=self.worker)

    def _verify_settings(self) -> VerifySettings:
        settings = self.settings.verification
        return dataclasses.replace(settings, bind={**settings.bind, **self.settings.bind})

    def _find_culprit(self, reference: Path, folder: Path, report: Report) -> str:
        """Name the change at fault, by running prefixes of the pipeline."""
        self.progress("looking for the pass at fault")

        def is_good_after(count: int) -> bool:
            attempt = Attempt(self.source, self.settings, self.worker, limit=count)
            attempt.run()
            return self._judge(attempt, reference, folder / "prefix.onnx").status == "passed"

        guilty = first_bad(report.rewrites, is_good_after)
        if guilty is None:
            return ", even without any rewrite: loading and writing it back is at fault"
        report.culprit = guilty.source
        return f", after {guilty.source} at {guilty.where}"
