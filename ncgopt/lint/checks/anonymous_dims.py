"""A dynamic dimension of an input has no name of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

import onnx_ir as ir

from ncgopt.lint.check import Check
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject

_MADE_UP = re.compile(r"(unk__\d+|\?|unknown.*|dynamic_axes_\d+|s\d+|dim_?\d+|None|-1)", re.IGNORECASE)


class AnonymousDims(Check):
    """A dynamic dimension of an input has no name, or one that a tool made up (`unk__12`, `s0`).

    Names are all that says which dimensions are equal: without them nobody, ncgopt included, knows that two inputs have
    the same batch, and fewer rewrites can be proven. Name them when you export (`dynamic_axes`, `dynamic_shapes`).
    """

    code = "NCG301"
    name = "anonymous-dims"
    severity = Severity.NOTE

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Look at the shapes of all inputs."""
        for value in subject.model.graph.inputs:
            axes = [axis for axis, dim in enumerate(value.shape or ()) if _is_anonymous(dim)]
            if axes:
                which = ", ".join(str(axis) for axis in axes)
                yield self.finding(f"axis {which} is dynamic and has no name", value.name or "")


def _is_anonymous(dim: int | ir.SymbolicDim) -> bool:
    if isinstance(dim, int):
        return False
    return dim.value is None or _MADE_UP.fullmatch(dim.value) is not None
