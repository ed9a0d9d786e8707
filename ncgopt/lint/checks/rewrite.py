"""`optimize` would change the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class Rewrite(Check):
    """The model is not optimized.

    `ncgopt optimize` would change it, with the preset, passes and target that are set. There is one finding for each
    rule or pass that applies, with the number of places and the first of them; a line at the end says what would be
    gained, and which command does it.

    Mend it with `ncgopt optimize --in-place MODEL`, which verifies what it writes, or with `ncgopt check --fix`.
    """

    code = "NCG001"
    name = "rewrite"
    severity = Severity.WARNING
    fix = "optimize"

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Run the pipeline on a copy in memory."""
        rewrites = subject.report.rewrites
        first = {rewrite.source: rewrite.where for rewrite in reversed(rewrites)}
        for source, count in Counter(rewrite.source for rewrite in rewrites).items():
            yield self.finding(first[source], source, count)
