"""Layers in training, which write their new statistics over the old ones."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt.facts import attributes

_MODE_SINCE = 14  # operator set; before it, the number of outputs decides, and ONNX Runtime only infers
_STATISTICS = (3, 4)  # inputs: running mean and variance


def is_updating(node: ir.Node) -> bool:
    """Whether a runtime may write into what the node reads: running statistics of a layer in training."""
    return (
        node.op_type == "BatchNormalization"
        and not node.domain
        and (node.version or 1) >= _MODE_SINCE
        and attributes.int_attribute(node, "training_mode") != 0
    )


def is_updated(value: ir.Value) -> bool:
    """Whether what else reads a constant may find other contents in it than the model says."""
    uses = value.uses()
    return len(uses) > 1 and any(use.idx in _STATISTICS and is_updating(use.node) for use in uses)
