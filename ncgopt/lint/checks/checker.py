"""ONNX's own checker objects."""

from __future__ import annotations

from collections.abc import Iterator

from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class Checker(Check):
    """ONNX's own checker objects, with shape inference.

    Runtimes differ in what they tolerate: a model that one of them runs may be refused by the next. The checker runs
    in a process of its own, since damaged models make it crash; such a crash is a finding too.
    """

    code = "NCG003"
    name = "checker"
    severity = Severity.ERROR

    def run(self, subject: Subject) -> Iterator[Finding]:
        """What it said while everything else was looked at."""
        for complaint in subject.complaints:
            yield self.finding(complaint)
