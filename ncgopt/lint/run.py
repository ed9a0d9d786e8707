"""All selected checks on one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from ncgopt.errors import ModelInvalid
from ncgopt.lint.beside import lying_beside
from ncgopt.lint.check import Check
from ncgopt.lint.checks.checker import Checker
from ncgopt.lint.checks.rewrite import Rewrite
from ncgopt.lint.finding import Checked, Gain
from ncgopt.lint.selection import selected
from ncgopt.lint.subject import Subject
from ncgopt.runtime import Worker
from ncgopt.settings import Settings


class Examiner:
    """Looks at one file after the other with the same child processes, whose start takes longer than a small model."""

    def __init__(self, memory: int | None) -> None:
        """`memory`: bytes that each child process may hold."""
        self._checker, self._runtime = Worker(memory=memory), Worker(memory=memory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child processes."""
        self._checker.close()
        self._runtime.close()

    def examine(self, path: Path, settings: Settings) -> tuple[Checked, bool]:
        """As the function `examine`."""
        checks = selected(settings.check)
        complaints = None
        if any(isinstance(check, Checker) for check in checks):
            # The checker runs while we load and rewrite.
            complaints = self._checker.begin("ncgopt.runtime.checker:check_file", path.absolute())
        asked = False

        def wait(timeout: float | None) -> list[str]:
            nonlocal asked
            asked = True
            said: list[str] = [] if complaints is None else complaints(timeout)
            return [one.replace(str(path.absolute()), str(path)) for one in said]

        try:
            return _examine(Subject(path, settings, wait, self._runtime), checks)
        finally:
            if complaints is not None and not asked:
                self._checker.close()  # an answer that nobody waits for would be taken for the next one


def examine(path: Path, settings: Settings) -> tuple[Checked, bool]:
    """The findings, and whether they depend on nothing but the file's content and the settings.

    Raises:
        InputUnreadable: the file is missing, damaged or no model.
        ModelInvalid: it is invalid, and that is no finding, as `invalid` is not selected.
        Usage: the settings make no sense.
    """
    with Examiner(settings.memory_limit) as examiner:
        return examiner.examine(path, settings)


def _examine(subject: Subject, checks: Sequence[Check]) -> tuple[Checked, bool]:
    path = subject.path
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
