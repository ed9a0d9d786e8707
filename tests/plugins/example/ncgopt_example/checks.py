"""A check with a code of its own."""

from collections.abc import Iterator

from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class NoProducer(Check):
    """The model does not say what made it."""

    code = "EXA001"
    name = "no-producer"
    severity = Severity.WARNING

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Look at the producer's name."""
        if not subject.model.producer_name:
            yield self.finding("the producer's name is empty")
