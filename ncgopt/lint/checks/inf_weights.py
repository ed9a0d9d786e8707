"""A weight is infinite."""

from __future__ import annotations

from collections.abc import Iterator

from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class InfWeights(Check):
    """A weight holds an infinity.

    In an attention mask or as the start of a maximum that is meant (hence only a note); anywhere else it is an
    overflow, often of a conversion to float16.
    """

    code = "NCG204"
    name = "inf-weights"
    severity = Severity.NOTE

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Count the weights that have such; the first is named."""
        found = [(name, numbers.infinite) for name, numbers in subject.numbers if numbers.infinite]
        if found:
            name, count = found[0]
            yield self.finding(f"{name}: {count} of its elements are infinite", count=len(found))
