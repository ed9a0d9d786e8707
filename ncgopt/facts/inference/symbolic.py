"""Arrays whose elements are sizes: numbers, expressions, or None."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from ncgopt.facts.inference.view import Contents, NodeView
from ncgopt.facts.symbols import Dim

MAX_ELEMENTS = 64
"""What holds more is followed no further: it is no shape."""

Follow = Callable[[NodeView], "Contents | None"]
"""What the first output of a node holds; None for unknown."""


def array_of(elements: list[Any], shape: tuple[int, ...]) -> Contents:
    """An array of these elements."""
    found = np.empty(len(elements), dtype=object)
    found[:] = elements
    return found.reshape(shape)


def each(function: Callable[..., Dim], *arrays: Contents) -> Contents:
    """`function` on every element, with broadcasting."""
    result = np.frompyfunc(function, len(arrays), 1)(*arrays)
    return result if isinstance(result, np.ndarray) else array_of([result], ())


def at_least_0d(found: Any) -> Contents:
    """An array also where numpy gives a single element instead."""
    return cast(Contents, found) if isinstance(found, np.ndarray) else array_of([found], ())
