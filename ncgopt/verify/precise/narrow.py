"""What weights go through as they are, so that a model in float64 does not need twice its memory.

A weight is exact in float64, so nothing is lost by widening it late: a table when its rows have been taken, a
matrix a few rows at a time, anything that is only moved when it arrives where arithmetic is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from ncgopt.runtime.session import Array
from ncgopt.verify.precise.kernels import Get, Unsupported
from ncgopt.verify.precise.widen import wide

Kernel: TypeAlias = Callable[[Sequence["Array | None"], Get], Array]

SMALLEST = 1 << 16
"""Elements from which on a weight is not widened as a whole."""

MOVES = frozenset(
    ("Concat", "Expand", "Flatten", "GatherElements", "GatherND", "Identity", "Reshape", "Slice", "Split", "Squeeze")
) | {"Tile", "Unsqueeze"}
"""Operators that only move elements: of narrow ones they make the same narrow ones."""

_BLOCK = 1 << 20  # elements widened at a time


def matmul(inputs: Sequence[Array | None], get: Get) -> Array:
    """MatMul of anything with a matrix `[K, N]`."""
    a, b = inputs[0], inputs[1]
    if a is None or b is None or b.ndim != 2 or a.ndim == 0:
        raise Unsupported("a product with more than one matrix")
    return _product(a, b)


def gemm(inputs: Sequence[Array | None], get: Get) -> Array:
    """Gemm: `alpha * A B + beta * C`, A `[M, K]` and B `[K, N]` or transposed, C broadcast to the product."""
    a, b, c = inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else None
    assert a is not None
    assert b is not None
    product = _product(a.T if get("transA", 0) else a, b.T if get("transB", 0) else b)
    product *= get("alpha", 1.0)
    return product if c is None else product + get("beta", 1.0) * _widened(c)


def gather(inputs: Sequence[Array | None], get: Get) -> Array:
    """Gather; negative indices count from the end, as numpy's do."""
    data, indices = inputs[0], inputs[1]
    assert data is not None
    assert indices is not None
    try:
        return np.asarray(np.take(data, indices, axis=int(get("axis", 0))))
    except IndexError as error:
        raise Unsupported(str(error)) from None


def transpose(inputs: Sequence[Array | None], get: Get) -> Array:
    """Transpose, as a view."""
    assert inputs[0] is not None
    return np.transpose(inputs[0], get("perm", None))


KERNELS: Mapping[str, Kernel] = {"MatMul": matmul, "Gemm": gemm, "Gather": gather, "Transpose": transpose}
"""Kernels that take narrow floats; `Gather` and `Transpose` give narrow ones back."""


def _product(a: Array, b: Array) -> Array:
    """The product in float64, over blocks of rows of B, each of which is read once."""
    shape = (*a.shape[:-1], b.shape[1])
    a = _widened(a).reshape(-1, a.shape[-1])  # numpy multiplies two matrices by BLAS, and more only where it likes to
    rows = max(1, _BLOCK // max(1, b.shape[1]))
    total = np.zeros((a.shape[0], b.shape[1]))
    for start in range(0, b.shape[0], rows):
        total += np.ascontiguousarray(a[:, start : start + rows]) @ _widened(b[start : start + rows])
    return total.reshape(shape)


def _widened(array: Array) -> Array:
    found = wide(array)
    assert isinstance(found, np.ndarray)
    return found
