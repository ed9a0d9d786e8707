"""The model is larger than its budget."""

from __future__ import annotations

from collections.abc import Iterator

from ncgopt.bytesize import size_text
from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class MaxBytes(Check):
    """The model takes more bytes on disk than `max-bytes` allows, external data included.

    Set the budget in `[check]` of `ncgopt.toml`, or in `[tool.ncgopt.check]` of `pyproject.toml`; without one, nothing
    is found:

        [tool.ncgopt.check]
        max-bytes = "50MB"
    """

    code = "NCG101"
    name = "max-bytes"
    severity = Severity.ERROR

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Compare the files with the budget."""
        limit, size = subject.settings.check.max_bytes, subject.loaded.file_bytes
        if limit is not None and size > limit:
            yield self.finding(f"{size_text(size)} ({size} bytes), and {size_text(limit)} are allowed")
