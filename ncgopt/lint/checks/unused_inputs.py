"""An input that nothing reads."""

from __future__ import annotations

from collections.abc import Iterator

from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class UnusedInputs(Check):
    """Nothing reads an input of the model.

    Callers must feed it all the same. It is part of the interface, which ncgopt never changes: leave it out of the
    export.
    """

    code = "NCG303"
    name = "unused-inputs"
    severity = Severity.NOTE

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Look at the uses of all inputs."""
        for value in subject.model.graph.inputs:
            if not value.uses() and not value.is_graph_output():
                yield self.finding("no node reads it", value.name or "")
