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
from ncgopt.report import Report, Rewrite, Verification
from ncgopt.runtime import Worker
from ncgopt.settings import Settings, VerifySettings
from ncgopt.verify import verify

_ORIGINAL, _LOSSY, _UPGRADED = "original.onnx", "lossy.onnx", "upgraded.onnx"
_MAX_ROLLBACKS = 16  # a model with more rewrites at fault than this has another problem


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
        self._rolled_back: list[Rewrite] = []

    def run(self, folder: Path) -> Report:
        self.progress("loading")
        attempt = self._attempt(folder)
        while self.settings.verify and not self._is_good(attempt, folder):
            self._blame(attempt.report, folder)
            attempt = self._attempt(folder)
        report = attempt.report
        if not self.settings.verify:
            report.verification = Verification("skipped", "verification was switched off")
        elif attempt.is_lossy:
            report.lossy = self._compare(self._original(folder), folder / _LOSSY)
        self._write(attempt, report)
        return report

    def _attempt(self, folder: Path) -> Attempt:
        """Run the pipeline without what was rolled back; leaves the files that verification compares with."""
        attempt = Attempt(self.source, self.settings, self.worker, avoid=self._avoided())
        self.report = attempt.report
        attempt.report.rolled_back = self._rolled_back
        if self._needs_copy and attempt.loaded.external and not (folder / _ORIGINAL).exists():
            self._save(attempt, folder / _ORIGINAL)
        if attempt.is_lossy and self.settings.opset and self.settings.verify and not (folder / _UPGRADED).exists():
            self._check_upgrade(attempt, folder)
        attempt.run(self.progress, (lambda: self._save(attempt, folder / _LOSSY)) if attempt.is_lossy else None)
        return attempt

    def _check_upgrade(self, attempt: Attempt, folder: Path) -> None:
        """Compare the upgraded model with the original by itself, where lossy passes come between it and the result."""
        self._save(attempt, folder / _UPGRADED)
        outcome = self._compare(self._original(folder), folder / _UPGRADED)
        if outcome.status == "failed":
            attempt.report.verification = outcome
            raise VerificationFailed(self._upgrade_at_fault(outcome.reason))

    def _upgrade_at_fault(self, reason: str) -> str:
        return f"{self.source}: {reason}, after the upgrade to operator set {self.settings.opset}; nothing was written"

    def _avoided(self) -> frozenset[tuple[str, str]]:
        return frozenset((r.source, r.where) for r in self._rolled_back)

    @property
    def _needs_copy(self) -> bool:
        """Whether a plain copy must stand for the original: where its data lie behind links.

        ONNX Runtime refuses external data that leave the model's folder. Reading and writing such
        a model without a change is what the round-trip tests of `ncgopt.model` are about.
        """
        return self.settings.verify and self.settings.trust_links

    def _original(self, folder: Path) -> Path:
        copy = folder / _ORIGINAL
        return copy if copy.exists() else self.source

    def _is_good(self, attempt: Attempt, folder: Path) -> bool:
        """Verify; False where the result is wrong. Raises where nothing could be shown."""
        self.progress("verifying")
        outcome = attempt.report.verification = self._judge(attempt, folder)
        if outcome.status == "inconclusive" and not self.settings.allow_unverified:
            raise Inconclusive(
                f"{self.source}: {outcome.reason}; nothing was written (--feeds gives it data that it accepts, "
                "--allow-unverified writes without proof)"
            )
        return outcome.status != "failed"

    def _judge(self, attempt: Attempt, folder: Path) -> Verification:
        """Interface first, which costs nothing; then numbers."""
        broken = attempt.contract.differences(models.Contract.of(attempt.loaded.model))
        if broken:
            return Verification("failed", f"the interface differs: {broken[0]}", interface=broken)
        result = folder / "result.onnx"
        self._save(attempt, result)
        return self._compare(folder / _LOSSY if attempt.is_lossy else self._original(folder), result)

    def _compare(self, reference: Path, result: Path) -> Verification:
        return verify(reference, result, self._verify_settings(), worker=self.worker)

    def _verify_settings(self) -> VerifySettings:
        settings = self.settings.verification
        return dataclasses.replace(settings, bind={**settings.bind, **self.settings.bind})

    def _blame(self, report: Report, folder: Path) -> None:
        """Find the change at fault by running prefixes of the pipeline, and have it left out.

        Raises:
            VerificationFailed: it must not be left out, cannot be, or the model fails without any.
        """
        self.progress("looking for the rewrite at fault")

        def is_good_after(count: int) -> bool:
            attempt = Attempt(self.source, self.settings, self.worker, limit=count, avoid=self._avoided())
            lossy = (lambda: self._save(attempt, folder / _LOSSY)) if attempt.is_lossy else None
            attempt.run(after_lossy=lossy)
            return self._judge(attempt, folder).status == "passed"

        reason = report.verification.reason
        guilty = first_bad(report.rewrites, is_good_after)
        if guilty is None:
            if self.settings.opset is not None:
                raise VerificationFailed(self._upgrade_at_fault(reason))
            raise VerificationFailed(
                f"{self.source}: {reason}, even without any rewrite: loading and writing it back is at fault; "
                "nothing was written; please report this"
            )
        report.culprit = guilty.source
        repeated = (guilty.source, guilty.where) in self._avoided()
        if self.settings.strict or repeated or len(self._rolled_back) >= _MAX_ROLLBACKS:
            raise VerificationFailed(
                f"{self.source}: {reason}, after {guilty.source} at {guilty.where}; nothing was written"
            )
        self._rolled_back.append(guilty)

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
