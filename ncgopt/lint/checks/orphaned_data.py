"""External data that no weight uses."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from ncgopt.bytesize import size_text
from ncgopt.lint.beside import lying_beside
from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject
from ncgopt.model.ondisk import FileTensor

_ALIGNMENT = 1 << 16  # ONNX asks writers to begin large tensors at such multiples, so gaps up to that are meant


class OrphanedData(Check):
    """A data file has bytes that no weight uses, or lies beside the model and is not used at all.

    Tools that append to a data file, or write a new one and leave the old behind, make repositories and downloads
    grow. Gaps of up to 64 kB between weights are alignment, and no finding. `check --fix` writes the data file anew,
    without gaps; a file that is not used at all is left for you to remove.
    """

    code = "NCG206"
    name = "orphaned-data"
    severity = Severity.WARNING
    fix = "rewrite"

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Compare what is used of each file with its size, and look for files called like the model."""
        used: dict[Path, set[tuple[int, int]]] = {}
        for _, tensor in subject.weights():
            if isinstance(tensor, FileTensor) and tensor.external:
                used.setdefault(tensor.file.path, set()).add((tensor.offset, tensor.length))
        for path, ranges in used.items():
            wasted = sum(gap for gap in _gaps(ranges, path.stat().st_size) if gap >= _ALIGNMENT)
            if wasted:
                yield self.finding(f"{size_text(wasted)} of it are not used", path.name)
        for beside in lying_beside(subject.path):
            if beside not in used:
                unused = self.finding("lies beside the model, which does not use it", beside.name)
                yield dataclasses.replace(unused, fix="")


def _gaps(ranges: set[tuple[int, int]], size: int) -> Iterator[int]:
    end = 0
    for offset, length in sorted(ranges):
        if offset > end:
            yield offset - end
        end = max(end, offset + length)
    yield size - end
