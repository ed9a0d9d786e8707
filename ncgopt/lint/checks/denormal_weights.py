"""A weight is denormal."""

from __future__ import annotations

from collections.abc import Iterator

from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class DenormalWeights(Check):
    """A weight holds numbers so small that they are not normal any more (below 1.2e-38 in float32).

    Processors compute with them many times slower, and some runtimes take them for zero, so results differ between
    machines. Training with weight decay makes them; setting them to zero changes nothing that anybody can measure,
    but it is a change, which is left to you.
    """

    code = "NCG205"
    name = "denormal-weights"
    severity = Severity.NOTE

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Count the weights that have such; the first is named."""
        found = [(name, numbers.denormal) for name, numbers in subject.numbers if numbers.denormal]
        if found:
            name, count = found[0]
            yield self.finding(f"{name}: {count} of its elements are denormal", count=len(found))
