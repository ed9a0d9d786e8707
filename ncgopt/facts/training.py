"""Layers in training, which write their new statistics over the old ones."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt.facts import attributes, uses
from ncgopt.facts.marks import mark_of

_MODE_SINCE = 14  # operator set; before it, the number of outputs decides, and ONNX Runtime only infers
_STATISTICS = slice(3, 5)  # inputs: running mean and variance
_UPDATED = "ncgopt.updated"


def is_updating(node: ir.Node) -> bool:
    """Whether a runtime may write into what the node reads: running statistics of a layer in training."""
    return (
        node.op_type == "BatchNormalization"
        and not node.domain
        and (node.version or 1) >= _MODE_SINCE
        and attributes.int_attribute(node, "training_mode") != 0
    )


def mark_updated(node: ir.Node) -> None:
    """Note on the values that `node` may write into that it does (`subgraphs.survey` asks for every node)."""
    if node.op_type == "BatchNormalization" and is_updating(node):
        for value in node.inputs[_STATISTICS]:
            if value is not None:
                value.meta[_UPDATED] = True


def is_updated(value: ir.Value) -> bool:
    """Whether what else reads a constant may find other contents in it than the model says.

    Asked for every constant: going through all users of each would take as long as there are.
    """
    return mark_of(value, _UPDATED) is not None and uses.user_count(value) > 1
