"""A declared type or shape is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class Contradiction(Check):
    """A value's declared element type or shape is not what it has on every run.

    Such declarations come from tools that changed a model and kept its old value infos. Runtimes that plan memory
    by them warn or fail. ncgopt relies on none of them, and does not touch them either: export the model anew, or
    remove its value infos.
    """

    code = "NCG005"
    name = "contradiction"
    severity = Severity.WARNING

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Compare each declaration with what is known."""
        for value, message in subject.contradictions:
            yield self.finding(message, value)
