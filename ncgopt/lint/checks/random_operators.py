"""The same inputs give different outputs."""

from __future__ import annotations

from collections.abc import Iterator

from ncgopt.facts.determinism import draws_anew
from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class RandomOperators(Check):
    """An operator gives other outputs each time: random numbers, or Dropout and BatchNormalization in training mode.

    In a model for inference it is mostly a mistake of the export (`model.eval()` was forgotten). A seed fixes the
    sequence of a session, not each result.
    """

    code = "NCG502"
    name = "random-operators"
    severity = Severity.NOTE

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Look for such operators, one finding for each kind."""
        first: dict[str, str] = {}
        count: dict[str, int] = {}
        for node in subject.nodes():
            if draws_anew(node):
                first.setdefault(node.op_type, node.name or (node.outputs[0].name or "") if node.outputs else "")
                count[node.op_type] = count.get(node.op_type, 0) + 1
        for operator, where in first.items():
            yield self.finding(where, operator, count[operator])
