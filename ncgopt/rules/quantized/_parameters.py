"""Scales and zero points: how many there are, and along what."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt import facts


def is_single(value: ir.Value | None) -> bool:
    """Whether there is one for the whole tensor; a zero point that is left out is one, and zero."""
    return value is None or facts.known_size(value) == 1


def columns(matrix: ir.Value) -> int | None:
    """The last dimension of a value that has at least two; None where unknown."""
    shape = facts.shape(matrix)
    last = shape[-1] if shape is not None and len(shape) >= 2 else None
    return last if isinstance(last, int) else None


def is_per_column(value: ir.Value | None, matrix: ir.Value) -> bool:
    """Whether there is one for the whole matrix, or one per column as a vector.

    Nothing broader, so that multiplying with it cannot enlarge a product with that matrix either.
    """
    if value is None:
        return True
    shape = facts.static(value)
    return shape in ((), (1,)) or (shape is not None and shape == (columns(matrix),))
