"""Operators with a constant operand, chains of two of them, and constants computed from constants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.constants import Array
from ncgopt.records import record

# The smallest normal number. NumPy knows it for its own types only, not for bfloat16.
_SMALLEST = {"float64": 2.0**-1022, "float32": 2.0**-126, "float16": 2.0**-14, "bfloat16": 2.0**-126}


@record
class Step:
    """`node = operator(x, constant)`, or `operator(constant, x)` where `constant_first`."""

    node: ir.Node
    x: ir.Value
    constant: ir.Value
    array: Array
    constant_first: bool


def chains(node: ir.Node, *op_types: str) -> Iterator[tuple[Step, Step]]:
    """Each way to read `node` as the second of two steps of `op_types`, both with numbers of one type as constants."""
    for outer_x, outer_constant, outer_first in _readings(node):
        inner = producer_beside(outer_x, node, *op_types)
        if inner is None:
            continue
        for inner_x, inner_constant, inner_first in _readings(inner):
            first, second = facts.constant(inner_constant), facts.constant(outer_constant)
            if first is None or second is None or first.dtype != second.dtype:
                continue
            if is_float_array(first) or is_integer_array(first):
                yield (
                    Step(inner, inner_x, inner_constant, first, inner_first),
                    Step(node, outer_x, outer_constant, second, outer_first),
                )


def _readings(node: ir.Node) -> Iterator[tuple[ir.Value, ir.Value, bool]]:
    a, b = node.inputs
    if a is not None and b is not None:
        if facts.is_constant(b):
            yield a, b, False
        if facts.is_constant(a):
            yield b, a, True


def is_float_array(array: Array) -> bool:
    """Whether the elements are floating point of 16 bits or more."""
    return array.dtype.name in _SMALLEST


def is_integer_array(array: Array) -> bool:
    """Whether the elements are integers of 8 bits or more."""
    return array.dtype.kind in "iu"


def is_normal(exact: Array, dtype: np.dtype[Any]) -> Array:
    """Where `exact` (float64) is finite and normal in `dtype`: elsewhere rounding loses more than the last bit."""
    with np.errstate(all="ignore"):
        stored = exact.astype(dtype).astype(np.float64)
        return np.asarray(np.isfinite(stored) & (np.abs(exact) >= _SMALLEST[dtype.name]))


def takes_no_more_room(elements: int, *replaced: ir.Value) -> bool:
    """Whether a constant of so many elements is no larger than what leaves with its last user; one element is free."""
    freed = sum(facts.known_size(value) or 0 for value in replaced if facts.sole_user(value))
    return elements <= max(1, freed)
