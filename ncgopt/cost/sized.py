"""A node together with the sizes of its inputs and outputs: what the FLOP counters look at."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record

Shape = tuple[int, ...]
ShapeOf = Callable[[ir.Value], Sequence[int] | None]


class UnknownShapeError(Exception):
    """A counter needs a shape or an attribute that is not known; never leaves `ncgopt.cost`."""


@record
class Sized:
    """One node and a way to look shapes up; every accessor raises `UnknownShapeError` rather than guess."""

    node: ir.Node
    shape_of: ShapeOf

    def has_input(self, index: int) -> bool:
        """Whether the optional input is connected."""
        return index < len(self.node.inputs) and self.node.inputs[index] is not None

    def input(self, index: int) -> Shape:
        """Shape of an input."""
        value = self.node.inputs[index] if index < len(self.node.inputs) else None
        return self._known(value)

    def output(self, index: int = 0) -> Shape:
        """Shape of an output."""
        return self._known(self.node.outputs[index])

    def inputs(self) -> list[Shape]:
        """Shapes of all connected inputs."""
        return [self._known(value) for value in self.node.inputs if value is not None]

    def integer(self, name: str, default: int | None = None) -> int:
        """An INT attribute; `default` serves operators that ONNX has no schema for."""
        value = facts.int_attribute(self.node, name)
        value = default if value is None else value
        if value is None:
            raise UnknownShapeError(name)
        return value

    def integers(self, name: str) -> tuple[int, ...] | None:
        """An INTS attribute, None where the operator leaves it open."""
        return facts.ints_attribute(self.node, name)

    def text(self, name: str) -> str | None:
        """A STRING attribute, None where the operator leaves it open."""
        return facts.string_attribute(self.node, name)

    def _known(self, value: ir.Value | None) -> Shape:
        shape = None if value is None else self.shape_of(value)
        if shape is None:
            raise UnknownShapeError
        return tuple(shape)


def volume(shape: Sequence[int]) -> int:
    """Number of elements."""
    return math.prod(shape)
