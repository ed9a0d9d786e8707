"""The operator set is too old or too new for where the model goes."""

from __future__ import annotations

from collections.abc import Iterator

from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class OpsetRange(Check):
    """The version of the default operator set is outside of `min-opset` to `max-opset`.

    A runtime that is older than the model refuses it; set `max-opset` to what yours understands. `min-opset` keeps
    models away that need adapting: `ncgopt optimize --opset N --in-place MODEL` upgrades them and verifies the result.
    """

    code = "NCG103"
    name = "opset-range"
    severity = Severity.ERROR

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Compare the version with both limits."""
        budget = subject.settings.check
        version = subject.model.opset_imports.get("")
        if version is None:
            return
        if budget.max_opset is not None and version > budget.max_opset:
            yield self.finding(f"operator set {version}, and {budget.max_opset} is the newest that is allowed")
        if budget.min_opset is not None and version < budget.min_opset:
            yield self.finding(
                f"operator set {version}, and {budget.min_opset} is the oldest that is allowed; "
                f"`ncgopt optimize --opset {budget.min_opset} --in-place` upgrades it"
            )
