"""Paths of somebody's machine in metadata, doc strings or names."""

from __future__ import annotations

from collections.abc import Iterator

from ncgopt.lint.check import Check
from ncgopt.lint.checks._personal import leak_of, texts
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class Leaks(Check):
    """Metadata, doc strings or names hold an absolute path of the machine that made the model.

    Exporters write stack traces into the doc string of every node: with `/home/jane/secret-project/model.py` in it,
    the name of a person and of a project travel with each copy of the model. `check --fix` cuts these paths down to
    their last part; `optimize --strip-debug` takes doc strings and metadata of parts away altogether.
    """

    code = "NCG401"
    name = "leaks"
    severity = Severity.WARNING
    fix = "rewrite"

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Look at every text, one finding per kind of place."""
        first: dict[str, str] = {}
        count: dict[str, int] = {}
        for place in texts(subject.model):
            path = leak_of(place.text, name=place.is_name)
            if path:
                first.setdefault(place.kind, f"{place.where}: {path}")
                count[place.kind] = count.get(place.kind, 0) + 1
        for kind, where in first.items():
            yield self.finding(where, kind, count[kind])
