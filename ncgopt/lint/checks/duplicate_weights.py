"""The same weights are stored more than once."""

from __future__ import annotations

from collections.abc import Iterator

from ncgopt.bytesize import size_text
from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject
from ncgopt.model.tensors import tensor_bytes
from ncgopt.passes.share_initializers import equal_initializers

_WORTH = 1024  # bytes; exporters write small equal constants by the hundred


class DuplicateWeights(Check):
    """Initializers have the same bytes, type and shape, and are stored once each.

    Exporters do this to tied embeddings and to weights that several layers share; runtimes then load each copy.
    Copies of less than a kilobyte together are not worth mentioning. `optimize` makes them one (`share-initializers`).
    """

    code = "NCG201"
    name = "duplicate-weights"
    severity = Severity.WARNING
    fix = "optimize"

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Compare a few elements of those with the same shape, then everything."""
        for first, copies in equal_initializers(subject.model):
            assert first.const_value is not None
            wasted = tensor_bytes(first.const_value) * len(copies)
            if wasted >= _WORTH:
                same = ", ".join(copy.name or "?" for copy in copies[:3])
                more = f" and {len(copies) - 3} more" if len(copies) > 3 else ""
                yield self.finding(f"stored again as {same}{more}: {size_text(wasted)} too much", first.name or "")
