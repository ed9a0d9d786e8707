"""How wrong a result is, measured against float64 and against how wrong the original is.

Two float32 models that compute the same real numbers differ by their rounding errors, and how large
those may be depends on the model. The table in `tolerance.py` cannot know it: 1e-4 of an output's scale
is some hundred times what most networks need, and a constant that is slightly wrong hides in it. Where
the original can be computed in float64, its own distance from that says how much rounding there is:

- Within the table's limit, it is the measure: the result may be `ERROR_FACTOR` times as far from
  float64 as the original is, and no less than `ERROR_FLOOR` of the table's limit.
- Beyond it, the original is ill-conditioned, or takes another turn somewhere in float64 (a bucket, a
  threshold); that says nothing of how far a *right* result may be, so the table stands, and `noise.py`
  finds out how the original moves by itself. Only a result that is clearly closer to float64 than the
  original (`ERROR_BETTER`) is taken without that.

Either way both figures are reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ncgopt.report import OutputDifference
from ncgopt.runtime.session import Array, Value
from ncgopt.verify.compare import float_difference
from ncgopt.verify.tolerance import ERROR_BETTER, ERROR_FACTOR, ERROR_FLOOR, RELATIVE


def with_errors(
    differences: Sequence[OutputDifference],
    precise: Sequence[Value],
    original: Sequence[Value],
    result: Sequence[Value],
) -> tuple[OutputDifference, ...]:
    """The differences with the errors of both sides, where they are floats and finite in the same places.

    Args:
        differences: result against original, per output.
        precise: the outputs in float64.
        original: the outputs of the original, in the same order.
        result: those of the result.
    """
    sides = zip(differences, precise, original, result, strict=True)
    return tuple(_with_error(difference, *values) for difference, *values in sides)


def _with_error(difference: OutputDifference, precise: Value, original: Value, result: Value) -> OutputDifference:
    arrays = [value for value in (precise, original, result) if isinstance(value, np.ndarray)]
    if difference.detail or len(arrays) < 3 or arrays[2].dtype.kind not in "fV" or arrays[0].dtype != np.float64:
        return difference
    relative = RELATIVE.get(arrays[1].dtype.name)
    if relative is None or any(array.shape != arrays[0].shape for array in arrays) or not arrays[0].size:
        return difference
    own = float_difference(difference.output, arrays[0], arrays[1], relative)
    new = float_difference(difference.output, arrays[0], arrays[2], relative)
    if own.detail or new.detail:
        return difference
    off, away = own.max_abs / own.limit, new.max_abs / new.limit
    if off > 1:
        better = away <= ERROR_BETTER * off
        limit = max(difference.limit, difference.max_abs) if better else difference.limit
        return replace(difference, error=new.max_abs, own_error=own.max_abs, limit=limit)
    share = max(ERROR_FLOOR, min(1.0, ERROR_FACTOR * off))
    return replace(difference, error=new.max_abs, own_error=own.max_abs, error_limit=share * new.limit)


def agreement(original: Value, result: Value, difference: OutputDifference) -> OutputDifference:
    """The difference with how many rows have their largest element in the same place.

    For outputs that differ at all, of rank 2 and more and with a last axis of 2 to `_CLASSES` elements. Only
    rows count in which the original is decided: its largest element leads by more than both sides together
    may be off. Within its limit no such row can flip; beyond it, where noise excuses the difference, `noise.py`
    asks that the original flips as many itself.
    """
    if not isinstance(original, np.ndarray) or not isinstance(result, np.ndarray) or difference.detail:
        return difference
    if (
        difference.mismatches == 0
        or original.ndim < 2
        or original.dtype.name not in RELATIVE
        or original.dtype.kind == "c"
    ):
        return difference
    if not 2 <= original.shape[-1] <= _CLASSES or original.size == 0 or original.size > _ELEMENTS:
        return difference
    slack = 2 * max(difference.limit, difference.own_error or 0.0, difference.error_limit or 0.0)
    rows = [side.reshape(-1, side.shape[-1]) for side in (original, result)]
    step = max(1, _AT_ONCE // original.shape[-1])
    decided = agreeing = 0
    for start in range(0, len(rows[0]), step):
        one = _decisions(rows[0][start : start + step], rows[1][start : start + step], slack)
        decided, agreeing = decided + one[0], agreeing + one[1]
    return replace(difference, decided=decided, agreeing=agreeing)


_CLASSES = 1 << 16
_ELEMENTS = 1 << 23
_AT_ONCE = 1 << 19  # elements made float64 at a time


def _decisions(original: Array, result: Array, slack: float) -> tuple[int, int]:
    """Rows of the original that are decided, and in how many of them the result's largest element is the same."""
    a, b = original.astype(np.float64), result.astype(np.float64)
    first = a.argmax(axis=1)
    order = np.partition(a, -2, axis=1)
    with np.errstate(invalid="ignore"):
        decided = order[:, -1] - order[:, -2] > slack
    return int(np.count_nonzero(decided)), int(np.count_nonzero(decided & (b.argmax(axis=1) == first)))
