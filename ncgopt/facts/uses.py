"""Who produces a value and who uses it, with what the user protected left out of sight.

Rules look upwards only through `producer`: it hides nodes that `--keep` protects, so that no
rule can pull one into a pattern.
"""

from __future__ import annotations

from typing import Any, cast

import onnx_ir as ir

from ncgopt.facts.marks import mark_of

_KEPT = "ncgopt.kept"


def keep(thing: ir.Node | ir.Value) -> None:
    """Protect a node or an initializer: nothing may match, replace, fold or remove it."""
    thing.meta[_KEPT] = True


def is_kept(thing: ir.Node | ir.Value) -> bool:
    """Whether `keep` was called on this node or value."""
    return bool(mark_of(thing, _KEPT))


def producer(value: ir.Value | None, *op_types: str) -> ir.Node | None:
    """The node that produces `value`, if it is one of `op_types` (default domain, or `domain::op`).

    None for graph inputs, initializers, protected nodes and other operators; without `op_types`
    any unprotected operator is fine.
    """
    node = value.producer() if value is not None else None
    if node is None or is_kept(node):
        return None
    if op_types and (f"{node.domain}::{node.op_type}" if node.domain else node.op_type) not in op_types:
        return None
    return node


def input_of(node: ir.Node, index: int) -> ir.Value | None:
    """Input number `index`; None where it is left out, at the end or in the middle."""
    return node.inputs[index] if index < len(node.inputs) else None


def other_users(value: ir.Value, node: ir.Node) -> bool:
    """Whether anything but `node` uses `value`; being a graph output counts as a use."""
    return value.is_graph_output() or any(use.node is not node for use in value.uses())


def sole_user(value: ir.Value) -> bool:
    """Whether exactly one input of one node uses `value`, and it is no graph output."""
    return not value.is_graph_output() and user_count(value) == 1


def user_count(value: ir.Value) -> int:
    """How many inputs of nodes `value` is, without the copy of them all that `Value.uses` makes."""
    return len(cast(Any, value)._uses)
