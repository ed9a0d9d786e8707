"""Delta debugging: the smallest part of a list that still shows something."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def ddmin(items: Sequence[T], shows: Callable[[Sequence[T]], bool]) -> list[T]:
    """A part of `items`, in order, that shows it and no longer does with any one item taken away.

    Zeller and Hildebrandt's ddmin (Simplifying and Isolating Failure-Inducing Input, 2002), without
    the step that tries the parts themselves: that a few of many neighbours suffice is the rule here,
    and taking away whole halves finds them as soon.

    Args:
        items: shows it.
        shows: the question; asked about parts only, and not twice in a row about the same.
    """
    kept = list(items)
    pieces = 2
    while len(kept) > 1:
        size = max(1, len(kept) // pieces)
        smaller = _without_one_piece(kept, size, shows)
        if smaller is not None:
            kept, pieces = smaller, max(2, pieces - 1)
        elif size == 1:
            break
        else:
            pieces = min(len(kept), pieces * 2)
    return kept


def _without_one_piece(kept: list[T], size: int, shows: Callable[[Sequence[T]], bool]) -> list[T] | None:
    # From the end: what comes last in a graph is least often what the rest stands on.
    for end in range(len(kept), 0, -size):
        rest = kept[: max(0, end - size)] + kept[end:]
        if rest and shows(rest):
            return rest
    return None
