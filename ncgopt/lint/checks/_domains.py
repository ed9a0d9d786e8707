"""Operators from outside of ONNX's default domain."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt.lint.subject import Subject


def foreign(subject: Subject) -> dict[str, list[ir.Node]]:
    """Nodes by domain, but those of the default domain and those that a local function of the model defines."""
    local = {(key[0], key[1]) for key in subject.model.functions}
    found: dict[str, list[ir.Node]] = {}
    for node in subject.nodes():
        if node.domain and (node.domain, node.op_type) not in local:
            found.setdefault(node.domain, []).append(node)
    return found
