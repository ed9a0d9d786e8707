"""What inference sees of a node: its attributes, and what is known of its inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import onnx_ir as ir

from ncgopt.facts import attributes
from ncgopt.facts.symbols import Dim
from ncgopt.facts.types import UNKNOWN, Shape, ValueType
from ncgopt.records import record

Contents = np.ndarray[Any, Any]
"""The elements of a small integer or boolean tensor: an array of objects, each a `Dim` (booleans are 0 and 1)."""


@record
class NodeView:
    """A node with the facts about its inputs; every accessor answers None for what is not known."""

    node: ir.Node
    type_of: Callable[[ir.Value], ValueType]
    contents_of: Callable[[ir.Value], Contents | None]
    array_of: Callable[[ir.Value], np.ndarray[Any, Any] | None]

    @property
    def version(self) -> int:
        """The opset version in force."""
        return self.node.version or 1

    def value(self, index: int) -> ir.Value | None:
        """Input number `index`, or None where it is left out."""
        return self.node.inputs[index] if index < len(self.node.inputs) else None

    def given(self, index: int) -> bool:
        """Whether input number `index` is there."""
        return self.value(index) is not None

    def type(self, index: int) -> ValueType:
        """Element type and shape of an input."""
        value = self.value(index)
        return UNKNOWN if value is None else self.type_of(value)

    def shape(self, index: int = 0) -> Shape | None:
        """Shape of an input."""
        return self.type(index).shape

    def length(self, index: int) -> int | None:
        """Number of elements of an input that is a vector; None for anything else, scalars included."""
        dims = self.shape(index)
        return dims[0] if dims is not None and len(dims) == 1 and isinstance(dims[0], int) else None

    def contents(self, index: int) -> Contents | None:
        """Contents of an input."""
        value = self.value(index)
        return None if value is None else self.contents_of(value)

    def array(self, index: int) -> np.ndarray[Any, Any] | None:
        """A constant input."""
        value = self.value(index)
        return None if value is None else self.array_of(value)

    def dims(self, index: int, name: str = "") -> Shape | None:
        """A list of integers in input number `index` or, in old opsets, in attribute `name`."""
        if not self.given(index):
            return self.ints(name) if name else None
        found = self.contents(index)
        return None if found is None or found.ndim > 1 else tuple(cast("list[Dim]", found.reshape(-1).tolist()))

    def numbers(self, index: int, name: str = "") -> tuple[int, ...] | None:
        """As `dims`, where all of them are plain numbers."""
        found = self.dims(index, name)
        if found is None:
            return None
        numbers = tuple(n for n in found if isinstance(n, int))
        return numbers if len(numbers) == len(found) else None

    def int(self, name: str) -> int | None:
        """An INT attribute or its default."""
        return attributes.int_attribute(self.node, name)

    def ints(self, name: str) -> tuple[int, ...] | None:
        """An INTS attribute or its default."""
        return attributes.ints_attribute(self.node, name)

    def string(self, name: str) -> str | None:
        """A STRING attribute or its default."""
        return attributes.string_attribute(self.node, name)

    def axis(self, name: str, rank: int) -> int | None:
        """An axis counted from the front."""
        axis = self.int(name)
        return None if axis is None or not -rank <= axis < rank else axis % rank
