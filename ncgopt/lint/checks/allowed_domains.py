"""An operator comes from a domain that is not allowed."""

from __future__ import annotations

from collections.abc import Iterator

from ncgopt.lint.check import Check
from ncgopt.lint.checks._domains import foreign
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class AllowedDomains(Check):
    """A node comes from an operator set that `allowed-domains` does not list.

    ONNX's own default domain and the model's local functions are always allowed. With `allowed-domains = []` a model
    runs wherever standard ONNX does.
    """

    code = "NCG104"
    name = "allowed-domains"
    severity = Severity.ERROR

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Look for nodes of other domains."""
        allowed = subject.settings.check.allowed_domains
        if allowed is None:
            return
        for domain, nodes in foreign(subject).items():
            if domain not in allowed:
                listed = ", ".join(dict.fromkeys(node.op_type for node in nodes))
                yield self.finding(f"{nodes[0].name or nodes[0].op_type} ({listed})", domain, len(nodes))
