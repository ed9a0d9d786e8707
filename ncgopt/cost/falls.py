"""Whether a rewrite is less work whatever the sizes are, as far as sizes are known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from urllib.parse import unquote

from ncgopt.facts import symbols
from ncgopt.facts.symbols import Dim

_SIZES = (1, 8, 197)  # a single one, a short and a long one: batches and sequences
_MAX_SYMBOLS = 3  # beyond these all symbols have the same size


def product_cost(left: Sequence[Dim], columns: Dim) -> Dim:
    """FLOPs of a matrix product `left x [left[-1], columns]`, batch dimensions included in `left`."""
    return symbols.mul(symbols.mul(symbols.product(tuple(left)), columns), 2)


def falls(before: Dim, after: Dim) -> bool:
    """Whether `after` is less than `before` for every choice of sizes that is tried, and both are known there.

    Symbolic dimensions are tried at 1, 8 and 197 each, which is where rewrites that trade one size for
    another change sides. A size that the user binds is a number already.
    """
    names = sorted(symbols.atoms(before) | symbols.atoms(after))
    for sizes in _choices(names):
        costs = [symbols.evaluate(dim, sizes) for dim in (before, after)]
        old, new = costs
        if old is None or new is None or new >= old:
            return False
    return True


def never_rises(before: Dim, after: Dim) -> bool:
    """Whether `after` is nowhere more than `before`, and somewhere less; sizes as in `falls`."""
    names = sorted(symbols.atoms(before) | symbols.atoms(after))
    less = False
    for sizes in _choices(names):
        old, new = (symbols.evaluate(dim, sizes) for dim in (before, after))
        if old is None or new is None or new > old:
            return False
        less = less or new < old
    return less


def _choices(names: Sequence[str]) -> list[dict[str, int]]:
    # Declared symbols that are no plain words are looked up by what their author wrote.
    keys = [(name, unquote(name[2:-2]) if name.startswith("<'") else name) for name in names]
    if len(names) > _MAX_SYMBOLS:
        chosen = [(size,) * len(names) for size in _SIZES]
    else:
        chosen = list(itertools.product(_SIZES, repeat=len(names)))
    return [{key: size for both, size in zip(keys, sizes, strict=True) for key in both} for sizes in chosen]
