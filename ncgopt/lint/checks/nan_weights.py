"""A weight is not a number."""

from __future__ import annotations

from collections.abc import Iterator

from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class NanWeights(Check):
    """A weight holds NaN.

    Whatever is computed from it is NaN as well: a training run that diverged, or a file that was damaged. Every weight
    is read for this, in pieces.
    """

    code = "NCG203"
    name = "nan-weights"
    severity = Severity.WARNING

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Count them, per weight."""
        for name, found in subject.numbers:
            if found.nan:
                yield self.finding(f"{found.nan} of its elements are NaN", name)
