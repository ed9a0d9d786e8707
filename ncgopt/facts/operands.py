"""Integers that an operator takes as an attribute in old opsets and as an input in newer ones: axes, pads, shapes."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.facts import attributes, constants, uses


def ints_operand(node: ir.Node, name: str, index: int) -> tuple[int, ...] | None:
    """The integers in attribute `name` or constant input number `index`; None where left out or unknown.

    An operator has the one or the other, never both, so that the opset needs no looking at.
    """
    value = uses.input_of(node, index)
    if value is None:
        return attributes.ints_attribute(node, name)
    array = constants.constant(value)
    if array is None or array.dtype.kind not in "iu":
        return None
    return tuple(int(n) for n in array.reshape(-1))


def is_given(node: ir.Node, name: str, index: int) -> bool:
    """Whether the node carries the operand in either form, known or not."""
    return attributes.is_set(node, name) or uses.input_of(node, index) is not None


def normalized_axes(axes: Sequence[int], rank: int | None) -> tuple[int, ...] | None:
    """`axes` counted from the front; None where the rank is needed but unknown, or an axis lies outside it."""
    found: list[int] = []
    for axis in axes:
        if axis < 0 and rank is None:
            return None
        counted = axis + rank if axis < 0 and rank is not None else axis
        if counted < 0 or (rank is not None and counted >= rank):
            return None
        found.append(counted)
    return tuple(found)
