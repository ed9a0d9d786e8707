"""Short ways to compute a vector of sizes from the shapes of what is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from ncgopt import facts

_MAX_LENGTH = 16  # a longer vector is no shape


@dataclass(frozen=True)
class Recipe:
    """A node to be made, or a constant (`operator` is "").

    Equal recipes give equal results, so that they name the result too.

    Attributes:
        numbers: contents of a constant; the indices that a Gather takes.
        scalar: whether those are of rank 0, not 1.
        attributes: of the node.
    """

    operator: str
    inputs: tuple[ir.Value | Recipe, ...] = ()
    numbers: tuple[int, ...] = ()
    scalar: bool = False
    dtype: ir.DataType = ir.DataType.INT64
    attributes: tuple[tuple[str, int], ...] = ()

    def steps(self) -> Iterable[Recipe]:
        """The recipes of all nodes that it takes, inputs first."""
        for value in self.inputs:
            if isinstance(value, Recipe):
                yield from value.steps()
        if self.operator:
            yield self

    def array(self) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        """The numbers as a tensor of int64."""
        array = np.array(self.numbers, dtype=np.int64)
        return array.reshape(()) if self.scalar else array


@dataclass(frozen=True)
class _Run:
    """The dimensions `start:end` of x, of all its `dims`; x is defined at place `order`."""

    x: ir.Value
    dims: facts.Shape
    start: int
    end: int
    order: int

    @property
    def whole(self) -> bool:
        return self.end - self.start == len(self.dims)


class Cookbook:
    """Recipes for sizes in one graph.

    Args:
        opset: of the default domain; from 15 on Shape has `start` and `end`.
    """

    def __init__(self, opset: int) -> None:
        self._slices_shapes = opset >= 15
        self._runs: dict[facts.Shape, list[_Run]] = {}
        self._planned: set[Recipe] = set()

    def add_source(self, x: ir.Value, order: int) -> None:
        """Let shapes be read from x, which is defined at place `order`; what comes first is preferred."""
        dims = facts.shape(x)
        if dims is None or len(dims) > _MAX_LENGTH:
            return
        for start in range(len(dims)):
            for end in range(start + 1, len(dims) + 1):
                run = dims[start:end]
                if run[-1] is None:
                    break
                if any(isinstance(d, str) for d in run):
                    self._runs.setdefault(run, []).append(_Run(x, dims, start, end, order))

    def recipe(self, sizes: facts.Shape, dtype: ir.DataType, before: int, *, scalar: bool) -> Recipe | None:
        """The shortest way known to make `sizes` of what is defined before place `before`.

        What earlier recipes make already costs nothing. None where a size is nowhere to be read.
        """
        if len(sizes) > _MAX_LENGTH:
            return None
        made = self._scalar(sizes, before) if scalar else self._vector(sizes, before)
        if made is None:
            return None
        if dtype != ir.DataType.INT64:
            if made.operator:
                made = Recipe("Cast", (made,), dtype=dtype, attributes=(("to", int(dtype)),))
            else:
                made = Recipe("", numbers=made.numbers, scalar=made.scalar, dtype=dtype)
        self._planned.update(made.steps())
        return made

    def _cost(self, recipe: Recipe) -> int:
        return len(set(recipe.steps()) - self._planned)

    def _scalar(self, sizes: facts.Shape, before: int) -> Recipe | None:
        if isinstance(sizes[0], int):
            return Recipe("", numbers=(sizes[0],), scalar=True)
        run = self._first(sizes, before)
        return None if run is None else _gather(run.x, (run.start,), scalar=True)

    def _vector(self, sizes: facts.Shape, before: int) -> Recipe | None:
        """The cheapest division into constants and pieces of shapes, by dynamic programming from the end."""
        best: list[tuple[int, tuple[Recipe, ...]] | None] = [None for _ in sizes]
        best.append((0, ()))
        for start in reversed(range(len(sizes))):
            for end in range(start + 1, len(sizes) + 1):
                rest, part = best[end], self._part(sizes[start:end], before)
                if rest is None or part is None:
                    continue
                cost = rest[0] + self._cost(part)
                known = best[start]
                if known is None or (cost, len(rest[1]) + 1) < (known[0], len(known[1])):
                    best[start] = (cost, (part, *rest[1]))
        if best[0] is None:
            return None
        parts = best[0][1]
        joined = parts[0] if len(parts) == 1 else Recipe("Concat", parts, attributes=(("axis", 0),))
        picked = self._picked(sizes, before)
        return picked if picked is not None and self._cost(picked) < self._cost(joined) else joined

    def _part(self, sizes: facts.Shape, before: int) -> Recipe | None:
        """A constant, or neighbouring dimensions of one tensor."""
        numbers = tuple(d for d in sizes if isinstance(d, int))
        if len(numbers) == len(sizes):
            return Recipe("", numbers=numbers)
        run = self._first(sizes, before)
        if run is None:
            return None
        if run.whole:
            return Recipe("Shape", (run.x,))
        if self._slices_shapes:
            return Recipe("Shape", (run.x,), attributes=(("start", run.start), ("end", run.end)))
        return _gather(run.x, tuple(range(run.start, run.end)), scalar=False)

    def _picked(self, sizes: facts.Shape, before: int) -> Recipe | None:
        """Dimensions of one tensor in any order."""
        symbols = [d for d in sizes if not isinstance(d, int)]
        for run in self._runs.get((*symbols[:1],), ()):
            if run.order < before and all(d in run.dims for d in sizes):
                return _gather(run.x, tuple(run.dims.index(d) for d in sizes), scalar=False)
        return None

    def _first(self, sizes: facts.Shape, before: int) -> _Run | None:
        return next((run for run in self._runs.get(sizes, ()) if run.order < before), None)


def _gather(x: ir.Value, indices: tuple[int, ...], *, scalar: bool) -> Recipe:
    return Recipe("Gather", (Recipe("Shape", (x,)),), numbers=indices, scalar=scalar, attributes=(("axis", 0),))
