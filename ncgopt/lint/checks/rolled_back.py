"""A rule or pass failed on the model."""

from __future__ import annotations

from collections.abc import Iterator

from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class RolledBack(Check):
    """A rule or pass of ncgopt failed on this model, or took too long, and was left out.

    The model is not to blame; `optimize` would leave the same rewrite out and keep the rest. It is worth a bug report:
    `ncgopt bisect MODEL` writes one.
    """

    code = "NCG006"
    name = "rolled-back"
    severity = Severity.WARNING

    def run(self, subject: Subject) -> Iterator[Finding]:
        """What the pipeline had to leave out."""
        for one in subject.report.rolled_back:
            yield self.finding(one.reason, one.source)
