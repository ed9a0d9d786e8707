"""No runtime accepts the model."""

from __future__ import annotations

from collections.abc import Iterator

from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class Invalid(Check):
    """The file holds something that no runtime could accept.

    A node reads a value that nothing defines, two nodes define the same value, a weight has more or fewer bytes than
    its shape says, and the like. Nothing else is looked at in such a file. (A file that cannot be read at all is no
    finding but an error, with exit code 66.)

    Export the model anew; the message says what is wrong with it, and where.
    """

    code = "NCG002"
    name = "invalid"
    severity = Severity.ERROR
    needs_model = False

    def run(self, subject: Subject) -> Iterator[Finding]:
        """What loading said."""
        if subject.invalid:
            yield self.finding(subject.invalid)
