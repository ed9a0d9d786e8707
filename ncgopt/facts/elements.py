"""What small integer tensors hold where they are computed from shapes: sizes, expressions, unknowns."""

from __future__ import annotations

from typing import cast

import onnx_ir as ir

from ncgopt.facts import knowledge
from ncgopt.facts.symbols import Dim
from ncgopt.facts.types import Shape


def elements(value: ir.Value | None) -> Shape | None:
    """The elements of an integer or boolean tensor of rank 0 or 1: numbers, expressions, or None.

    None for other tensors and where not even the number of elements is known. Booleans are 0 and 1.
    """
    found = knowledge.contents_of(value) if value is not None else None
    return None if found is None or found.ndim > 1 else tuple(cast("list[Dim]", found.reshape(-1).tolist()))


def known_elements(value: ir.Value | None) -> tuple[int, ...] | None:
    """The elements where every one is a known number."""
    found = elements(value)
    if found is None:
        return None
    numbers = tuple(n for n in found if isinstance(n, int))
    return numbers if len(numbers) == len(found) else None
