"""The model has more nodes than its budget."""

from __future__ import annotations

from collections.abc import Iterator

from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class MaxNodes(Check):
    """The model has more nodes than `max-nodes` allows.

    Nodes of subgraphs and local functions count, `Constant` nodes do not. Set the budget in `[tool.ncgopt.check]`;
    without one, nothing is found. A sudden rise often means that an exporter took an operation apart.
    """

    code = "NCG102"
    name = "max-nodes"
    severity = Severity.ERROR

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Compare the count with the budget."""
        limit, nodes = subject.settings.check.max_nodes, subject.stats.nodes
        if limit is not None and nodes > limit:
            yield self.finding(f"{nodes} nodes, and {limit} are allowed")
