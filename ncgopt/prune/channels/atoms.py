"""Positions along axes of values, and which of them can only go together.

Every position of every axis of a value that is of interest is one atom, a number. Operators tie atoms to each other
(a channel of a convolution's result, the row of its kernel, the entry of its bias) and lock those that cannot go.
What is tied in the end, directly or not, is one component: it goes as a whole or not at all.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from ncgopt import facts

Array: TypeAlias = npt.NDArray[Any]
Key: TypeAlias = tuple[ir.Value, int]

_LARGEST = 1 << 20  # positions along one axis; nobody prunes such an axis


class Atoms:
    """Atoms, ties and locks of one graph.

    Attributes:
        axes: first atom and number of atoms of every axis that has any.
    """

    def __init__(self) -> None:
        self.axes: dict[Key, tuple[int, int]] = {}
        self._count = 0
        self._ties: list[tuple[Array, Array]] = []
        self._locks: list[tuple[Array, str]] = []
        self._labels: Array | None = None

    def of(self, value: ir.Value, axis: int) -> Array | None:
        """Atoms along an axis (counted from the front), None where its size is not known, or 1."""
        key = (value, axis)
        if key not in self.axes:
            size = size_along(value, axis)
            if size is None or not 1 < size <= _LARGEST:
                return None
            self.axes[key] = (self._count, size)
            self._count += size
        start, size = self.axes[key]
        return np.arange(start, start + size)

    def tie(self, left: Array | None, right: Array | None, why: str) -> None:
        """These go together, one by one; where one side is unknown or of another size, the other is locked."""
        if left is None or right is None or len(left) != len(right):
            for side in (left, right):
                if side is not None:
                    self.lock(side, why)
            return
        self._ties.append((left, right))

    def lock(self, atoms: Array | None, why: str) -> None:
        """These cannot go."""
        if atoms is not None and len(atoms):
            self._locks.append((atoms, why))

    def labels(self) -> Array:
        """A number per atom, equal within a component: the smallest atom in it."""
        if self._labels is None or len(self._labels) != self._count:
            self._labels = _components(self._count, self._ties)
        return self._labels

    def locked(self) -> dict[int, str]:
        """Why a component cannot go, for those that cannot."""
        labels = self.labels()
        found: dict[int, str] = {}
        for atoms, why in self._locks:
            for label in np.unique(labels[atoms]).tolist():
                found.setdefault(label, why)
        return found


def size_along(value: ir.Value, axis: int) -> int | None:
    """The size of an axis where it is a known number."""
    if value.const_value is not None and value.is_initializer():
        shape = value.const_value.shape.numpy()
        return shape[axis] if axis < len(shape) else None
    dims = facts.shape(value)
    size = dims[axis] if dims is not None and axis < len(dims) else None
    return size if isinstance(size, int) else None


def _components(count: int, ties: list[tuple[Array, Array]]) -> Array:
    """Smallest atom of each component: neighbours and then their labels are looked up until nothing changes."""
    labels = np.arange(count)
    if not ties:
        return labels
    left = np.concatenate([tie[0] for tie in ties])
    right = np.concatenate([tie[1] for tie in ties])
    while True:
        low = np.minimum(labels[left], labels[right])
        new = labels.copy()
        np.minimum.at(new, left, low)
        np.minimum.at(new, right, low)
        np.minimum.at(new, labels[left], low)
        np.minimum.at(new, labels[right], low)
        new = new[new]
        if np.array_equal(new, labels):
            return labels
        labels = new
