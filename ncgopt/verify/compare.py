"""How far the outputs of a result are from those of its original."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from ncgopt.report import OutputDifference
from ncgopt.runtime.session import Array, Value
from ncgopt.verify.tolerance import EIGHT_BIT, EIGHT_BIT_FRACTION, RELATIVE, SLICE_ELEMENTS, SLICE_FLOOR

_CHUNK = 1 << 19  # elements converted to float64 at a time
_SLICED = 1 << 21  # elements; of larger outputs, slices have no scale of their own
_TINY = 1e-30  # nothing that float32 can still tell from zero in later arithmetic


def compare_outputs(
    names: Sequence[str],
    original: Sequence[Value],
    result: Sequence[Value],
    *,
    random: Collection[str] = (),
    quantizes: bool = False,
) -> tuple[OutputDifference, ...]:
    """Compare two lists of outputs of the same model.

    Args:
        names: names of the outputs, in order.
        original: what is right: arrays, lists (sequences), dicts (maps) or None.
        result: what is judged, same order.
        random: outputs whose values are random; only their shapes and dtypes are compared.
        quantizes: the model contains quantizing operators, see `tolerance.py`.

    Returns:
        One difference per output. Of sequences and maps, the worst element counts. NaN equals
        NaN, infinities equal infinities of the same sign. Numbers are compared in float64 (or
        complex128), in pieces, so that large outputs need little memory.
    """
    differences: list[OutputDifference] = []
    for name, expected, actual in zip(names, original, result, strict=True):
        difference = _values(name, expected, actual, name in random)
        differences.append(_accept_off_by_one(difference, actual) if quantizes else difference)
    return tuple(differences)


def excess(difference: OutputDifference) -> float:
    """How many times its limit a difference is; infinite where it is no number."""
    if difference.detail:
        return float("inf")
    if difference.max_abs <= 0.0:
        return 0.0
    away = difference.error / difference.error_limit if difference.error and difference.error_limit else 0.0
    return max(away, difference.max_abs / difference.limit) if difference.limit > 0 else float("inf")


def _accept_off_by_one(difference: OutputDifference, actual: Value) -> OutputDifference:
    few = difference.mismatches <= EIGHT_BIT_FRACTION * difference.elements
    eight = isinstance(actual, np.ndarray) and actual.dtype.name in EIGHT_BIT
    if eight and few and difference.max_abs == 1.0 and not difference.detail:
        return replace(difference, limit=1.0)
    return difference


def _values(name: str, expected: Value, actual: Value, random: bool) -> OutputDifference:
    if isinstance(expected, np.ndarray) and isinstance(actual, np.ndarray):
        return _arrays(name, expected, actual, random)
    if isinstance(expected, dict) and isinstance(actual, dict):
        if list(expected) != list(actual):
            return _no(name, "the keys of the map differ")
        return _parts(name, list(expected.values()), list(actual.values()), random)
    if isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            return _no(name, f"a sequence of {len(actual)} values instead of {len(expected)}")
        return _parts(name, expected, actual, random)
    if type(expected) is not type(actual):
        return _no(name, f"{_kind(actual)} instead of {_kind(expected)}")
    return _arrays(name, np.asarray(expected), np.asarray(actual), random)


def _parts(name: str, expected: list[Any], actual: list[Any], random: bool) -> OutputDifference:
    parts = [_values(name, a, b, random) for a, b in zip(expected, actual, strict=True)]
    if not parts:
        return OutputDifference(name, 0.0, 0.0, 0.0)
    worst = max(parts, key=excess)
    return replace(
        worst,
        mismatches=sum(part.mismatches for part in parts),
        elements=sum(part.elements for part in parts),
    )


def _arrays(name: str, expected: Array, actual: Array, random: bool) -> OutputDifference:
    if expected.dtype.kind in "OUS" and actual.dtype.kind in "OUS":
        expected, actual = expected.astype(object), actual.astype(object)
    if expected.dtype != actual.dtype:
        return _no(name, f"dtype {actual.dtype} instead of {expected.dtype}")
    if expected.shape != actual.shape:
        return _no(name, f"shape {list(actual.shape)} instead of {list(expected.shape)}")
    if random or expected.size == 0:
        return OutputDifference(name, 0.0, 0.0, 0.0, elements=expected.size)
    if expected.dtype == object:
        differing = int(np.count_nonzero(expected != actual))
        detail = f"{differing} of {expected.size} strings differ" if differing else ""
        return OutputDifference(name, 0.0, 0.0, 0.0, detail, mismatches=differing, elements=expected.size)
    relative = RELATIVE.get(expected.dtype.name)
    if relative is None:
        return _exact(name, expected, actual)
    return float_difference(name, expected, actual, relative)


def _exact(name: str, expected: Array, actual: Array) -> OutputDifference:
    differing = expected != actual
    count = int(np.count_nonzero(differing))
    scale = float(np.abs(expected.astype(np.float64)).max())
    largest = 0.0
    if count:
        a, b = (side[differing].astype(np.float64) for side in (expected, actual))
        largest = max(1.0, float(np.abs(a - b).max()))
    return OutputDifference(name, largest, scale, 0.0, mismatches=count, elements=expected.size)


def float_difference(name: str, expected: Array, actual: Array, relative: float) -> OutputDifference:
    """Compare two float arrays of one shape, with `relative` of the scale around each element as the limit."""
    scale = max((float(finite.max(initial=0.0)) for finite, _ in _magnitudes(expected)), default=0.0)
    worst = OutputDifference(name, 0.0, scale, relative * scale + _TINY, elements=expected.size)
    scales = _slice_scales(expected, scale)
    differing = odd_ones = 0
    like = ""
    for chunk in _chunks(expected.size):
        a, b = _wide(expected.reshape(-1)[chunk]), _wide(actual.reshape(-1)[chunk])
        finite = np.isfinite(a) & np.isfinite(b)
        odd = ~finite & ~((a == b) | (np.isnan(a) & np.isnan(b)))
        if odd.any():
            like = like or _not_finite(a, b, odd)
            odd_ones += int(np.count_nonzero(odd))
        distance = np.where(finite, np.abs(np.where(finite, a, 0) - np.where(finite, b, 0)), 0.0)
        differing += int(np.count_nonzero(distance))
        local = scale if scales is None else np.broadcast_to(scales, expected.shape).reshape(-1)[chunk]
        limits = np.broadcast_to(relative * np.asarray(local, dtype=np.float64) + _TINY, distance.shape)
        at = int(np.argmax(distance / limits))
        found = replace(worst, max_abs=float(distance[at]), limit=float(limits[at]), scale=float(limits[at]) / relative)
        worst = max(worst, found, key=excess)
    if odd_ones:
        return _no(name, f"{odd_ones} {like}", scale, odd_ones, expected.size)
    return replace(worst, mismatches=differing)


def _slice_scales(expected: Array, scale: float) -> Array | None:
    """Per element, the smallest scale of the slices it lies in; None where one number serves for all.

    Detectors put boxes (hundreds) and scores (below one) into one output: a limit relative to the
    boxes would be blind to the scores.
    """
    scales: Array | None = None
    for axis, size in enumerate(expected.shape):
        if size < 2 or expected.size // size < SLICE_ELEMENTS or expected.size > _SLICED:
            continue
        others = tuple(other for other in range(expected.ndim) if other != axis)
        magnitude = np.abs(_wide(expected))
        along: Array = np.where(np.isfinite(magnitude), magnitude, 0.0).max(axis=others, keepdims=True)
        scales = along if scales is None else np.minimum(scales, along)
    return None if scales is None else np.maximum(scales, SLICE_FLOOR * scale)


def _magnitudes(values: Array) -> Iterator[tuple[Array, Array]]:
    for chunk in _chunks(values.size):
        magnitude = np.abs(_wide(values.reshape(-1)[chunk]))
        finite = np.isfinite(magnitude)
        yield magnitude[finite], finite


def _chunks(size: int) -> Iterator[slice]:
    for start in range(0, size, _CHUNK):
        yield slice(start, start + _CHUNK)


def _wide(values: Array) -> Array:
    return cast(Array, values.astype(np.complex128 if values.dtype.kind == "c" else np.float64))


def _not_finite(expected: Array, actual: Array, odd: Array) -> str:
    at = int(np.argmax(odd))
    return f"values like {actual[at]:g} where the original has {expected[at]:g}"


def _no(name: str, detail: str, scale: float = 0.0, mismatches: int = 0, elements: int = 0) -> OutputDifference:
    return OutputDifference(name, 0.0, scale, 0.0, detail, mismatches=mismatches, elements=elements)


def _kind(value: Value) -> str:
    return "nothing" if value is None else type(value).__name__
