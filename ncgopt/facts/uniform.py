"""Tensors all of whose elements are the same number."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from ncgopt.facts import constants, uses

_MOVES = frozenset({
    "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Tile", "Transpose", "Unsqueeze",
})  # fmt: skip
_MAX_STEPS = 12


def is_positive_zero(value: ir.Value | None) -> bool:
    """Whether every element is 0, and no -0.0: a constant, a ConstantOfShape, or taken from one of these."""
    for _ in range(_MAX_STEPS):
        array = constants.constant(value)
        if array is not None:
            return _is_zero(array)
        node = uses.producer(value)
        if node is None or node.domain:
            return False
        if node.op_type == "ConstantOfShape":
            return _fills_with_zero(node)
        if node.op_type not in _MOVES:
            return False
        value = uses.input_of(node, 0)
    return False


def _fills_with_zero(node: ir.Node) -> bool:
    attribute = node.attributes.get("value")
    if attribute is None:
        return True  # float32 zeros by default
    return not attribute.is_ref() and _is_zero(np.asarray(attribute.as_tensor().numpy()))


def _is_zero(array: constants.Array) -> bool:
    return array.dtype.kind in "fiu" and not array.any() and not bool(np.signbit(array).any())
