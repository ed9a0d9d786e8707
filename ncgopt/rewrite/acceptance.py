"""Whether what a rule built can stand where it shall: number, element types and shapes of its values."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.errors import UnsoundRewrite
from ncgopt.rewrite.session import where


def check(rule: str, node: ir.Node, new: Sequence[ir.Value | None]) -> None:
    """Arity, element type and shape of a replacement against what it replaces.

    Raises:
        UnsoundRewrite: they differ; `rule` is the name of the rule to blame.
    """

    def unsound(what: str) -> UnsoundRewrite:
        return UnsoundRewrite(f"rule {rule} at {where(node)}: {what}; this is a bug in the rule")

    if len(new) != len(node.outputs):
        raise unsound(f"returned {len(new)} values for {len(node.outputs)} outputs")
    for old, value in zip(node.outputs, new, strict=True):
        if value is None:
            if old.uses() or old.is_graph_output():
                raise unsound(f"returned nothing for output {old.name}, which is used")
            continue
        expected, actual = facts.dtype(old), facts.dtype(value)
        if expected is not None and actual is not None and expected != actual:
            raise unsound(f"output {old.name} would be {actual.name} instead of {expected.name}")
        if not _compatible(facts.shape(old), facts.shape(value)):
            raise unsound(f"output {old.name} would have shape {facts.shape(value)} instead of {facts.shape(old)}")


def _compatible(expected: facts.Shape | None, actual: facts.Shape | None) -> bool:
    if expected is None or actual is None:
        return True
    if len(expected) != len(actual):
        return False
    pairs = zip(expected, actual, strict=True)
    return not any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs)
