"""All selected checks on one file."""

from __future__ import annotations

from pathlib import Path

from ncgopt.errors import ModelInvalid
from ncgopt.lint.beside import lying_beside
from ncgopt.lint.checks.checker import Checker
from ncgopt.lint.checks.rewrite import Rewrite
from ncgopt.lint.finding import Checked, Gain
from ncgopt.lint.selection import selected
from ncgopt.lint.subject import Subject
from ncgopt.runtime import Worker
from ncgopt.settings import Settings


def examine(path: Path, settings: Settings) -> tuple[Checked, bool]:
    """The findings, and whether they depend on nothing but the file's content and the settings.

    Raises:
        InputUnreadable: the file is missing, damaged or no model.
        ModelInvalid: it is invalid, and that is no finding, as `invalid` is not selected.
        Usage: the settings make no sense.
    """
    checks = selected(settings.check)
    with Worker(memory=settings.memory_limit) as worker:
        complaints = None
        if any(isinstance(check, Checker) for check in checks):
            # The checker runs while we load and rewrite.
            complaints = worker.begin("ncgopt.runtime.checker:check_file", path)
        subject = Subject(path, settings, complaints)
        if subject.invalid:
            found = [finding for check in checks if not check.needs_model for finding in check.run(subject)]
            if not found:
                raise ModelInvalid(subject.invalid)
            return Checked(path, tuple(found)), False
        found = [finding for check in checks if check.needs_model for finding in check.run(subject)]
        gain = _gain(subject) if any(isinstance(check, Rewrite) for check in checks) else None
    return Checked(path, tuple(found), gain=gain), _stands_alone(path, subject)


def _gain(subject: Subject) -> Gain | None:
    before, after = subject.report.before, subject.report.after
    if before is None or after is None or not subject.report.rewrites:
        return None
    return Gain(before.nodes, after.nodes, before.weight_bytes, after.weight_bytes)


def _stands_alone(path: Path, subject: Subject) -> bool:
    """Whether no other file has a say: one with external data, or with data beside it that it does not use."""
    return subject.loaded.file_bytes == path.stat().st_size and not lying_beside(path)
