"""A symbolic dimension of an output is bound by no input."""

from __future__ import annotations

import re
from collections.abc import Iterator

import onnx_ir as ir

from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject


class UnboundDims(Check):
    """An output has a symbolic dimension that no input has.

    Where its size depends on data (NonZero, NonMaxSuppression) that is right. Often it is the name of an input's
    dimension that a tool lost or wrote differently (`batch` and `batch_size`), and whoever calls the model cannot know
    how large its output will be.
    """

    code = "NCG302"
    name = "unbound-dims"
    severity = Severity.NOTE

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Compare the symbols of outputs with those of inputs."""
        graph = subject.model.graph
        bound = {symbol for value in graph.inputs for symbol in _symbols(value)}
        for value in graph.outputs:
            free = dict.fromkeys(symbol for symbol in _symbols(value) if symbol not in bound)
            if free:
                yield self.finding(f"no input has the dimension {', '.join(free)}", value.name or "")


def _symbols(value: ir.Value) -> Iterator[str]:
    """Names in the dimensions of a value; a dimension may be an expression over several."""
    for dim in value.shape or ():
        if not isinstance(dim, int) and dim.value is not None:
            yield from re.findall(r"[A-Za-z_][\w.]*", dim.value)
