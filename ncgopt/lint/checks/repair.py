"""ONNX Runtime tolerates what the standard forbids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class Repair(Check):
    """The model breaks the ONNX standard in a way that ONNX Runtime tolerates.

    Nodes out of order, an initializer twice, an operator set that is not imported: other runtimes and tools may refuse
    the model. ncgopt puts these things right when it loads a model, so that `optimize`, or `check --fix`, writes a
    model without them.
    """

    code = "NCG004"
    name = "repair"
    severity = Severity.WARNING
    fix = "rewrite"

    def run(self, subject: Subject) -> Iterator[Finding]:
        """What was put right on loading, by kind."""
        repairs = subject.loaded.repairs
        first = {one.kind: f"{one.where}: {one.detail}" for one in reversed(repairs)}
        for kind, count in Counter(one.kind for one in repairs).items():
            yield self.finding(first[kind], kind, count)
