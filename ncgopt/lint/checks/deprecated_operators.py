"""An operator is deprecated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import onnx

from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class DeprecatedOperators(Check):
    """An operator is deprecated in a newer version of its operator set.

    It works today; an upgrade of the operator set has to replace it (`ncgopt optimize --opset N` does, where it knows
    how), and runtimes may drop its kernel.
    """

    code = "NCG501"
    name = "deprecated-operators"
    severity = Severity.NOTE

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Ask the newest schema of each operator that occurs."""
        local = {(key[0], key[1]) for key in subject.model.functions}
        counts = Counter((node.domain, node.op_type) for node in subject.nodes())
        for (domain, name), count in counts.items():
            if (domain, name) in local or not onnx.defs.has(name, domain):
                continue
            newest = onnx.defs.get_schema(name, domain)
            if newest.deprecated:
                yield self.finding(f"deprecated from operator set {newest.since_version} on", name, count)
