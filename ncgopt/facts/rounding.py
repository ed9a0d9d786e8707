"""Whether a constant that was computed in float64 may be rounded to the element type it is stored in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ncgopt.facts.constants import Array

# Distance from 1 to the next number. NumPy knows it for its own types only, not for bfloat16.
_EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
_SMALLEST_NORMAL = {"float64": 2.0**-1022, "float32": 2.0**-126, "float16": 2.0**-14, "bfloat16": 2.0**-126}


def rounded(exact: Array, dtype: np.dtype[Any]) -> Array:
    """`exact` in `dtype`, rounded once; infinite where it lies outside the type's range."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return exact.astype(dtype)


def representable(exact: Array, dtype: np.dtype[Any]) -> bool:
    """Whether rounding costs no more than rounding does anyway.

    Refused: infinities and NaN, overflow, and tensors that vanish below the type's smallest normal
    number as a whole. A single small element may vanish: products are sums, and their rounding
    errors follow the largest term.

    Only the largest magnitude matters: from the smallest normal number on, no element is further from
    what is stored for it than half a unit in the last place of the largest.
    """
    epsilon = _EPSILON.get(dtype.name)
    if epsilon is None:
        return False
    largest = max(float(np.max(exact, initial=0.0)), -float(np.min(exact, initial=0.0)))
    if not math.isfinite(largest) or not math.isfinite(float(rounded(np.array(largest), dtype))):
        return False
    if largest >= _SMALLEST_NORMAL[dtype.name]:
        return True
    error = np.max(np.abs(rounded(exact, dtype).astype(np.float64) - exact), initial=0.0)
    return bool(error <= epsilon * largest)


def attribute(number: float) -> float:
    """What an attribute, which is a float32, holds of `number`."""
    return float(rounded(np.array(number, dtype=np.float64), np.dtype(np.float32)))


def fits_attribute(number: float) -> bool:
    """Whether an attribute holds `number` as well as a constant would."""
    return representable(np.array(number, dtype=np.float64), np.dtype(np.float32))
