"""Weights are double precision."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from ncgopt.bytesize import size_text
from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject
from ncgopt.model.tensors import tensor_bytes


class Float64Weights(Check):
    """Weights are float64: twice the bytes of float32, and many kernels are slow or missing.

    Mostly a NumPy array or a Python number slipped into an export. Single numbers are left out. Computing in another
    precision changes results, so `optimize` does not do it: convert the weights before the export.
    """

    code = "NCG202"
    name = "float64-weights"
    severity = Severity.NOTE

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Look at the types of all weights with more than one element."""
        double = ir.DataType.DOUBLE
        found = [(name, one) for name, one in subject.weights() if one.dtype == double and one.size > 1]
        if found:
            size = sum(tensor_bytes(tensor) for _, tensor in found)
            yield self.finding(f"{found[0][0]}; {size_text(size)} of float64 in all", count=len(found))
