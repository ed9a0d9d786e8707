"""The one table of how far a result may be from its original, by the output's dtype.

Floats are compared relative to the output's scale, its largest finite magnitude: rounding errors
of a network follow the size of what was added up, not the size of the element they end in. The
numbers are some hundred units in the last place for float32 and float64, where a deep network
sums thousands of terms (ONNX Runtime's own optimizations move trained float32 models by up to
3e-5), and a few units for the narrow types, whose kernels accumulate in float32.

Integers, booleans and strings are exact, with two exceptions that `compare.py` and `noise.py`
implement and that are counted in elements, never granted wholesale:

- 8-bit outputs of a model that quantizes: rounding to the grid turns a float difference of one
  unit in the last place into a step of one where the value lies between two steps. Off by one is
  accepted in `EIGHT_BIT_FRACTION` of the elements.
- Integer outputs that follow from comparing floats (ArgMax, TopK, NonMaxSuppression, Greater)
  flip on ties. Differing elements are accepted as far as the original itself flips as often (up
  to `NOISE_FACTOR` times) when ONNX Runtime optimizes it, or its inputs or weights move by units
  in the last place. Where the original is decided, one flip is a failure.
"""

from __future__ import annotations

from collections.abc import Mapping

# Largest error relative to the output's scale. A dtype that is not listed is compared exactly.
RELATIVE: Mapping[str, float] = {
    "float64": 1e-9,
    "float32": 1e-4,
    "float16": 5e-3,
    "bfloat16": 4e-2,
    "float8_e4m3fn": 0.25,
    "float8_e4m3fnuz": 0.25,
    "float8_e5m2": 0.5,
    "float8_e5m2fnuz": 0.5,
    "complex64": 1e-4,
    "complex128": 1e-9,
}

EIGHT_BIT = ("int8", "uint8")
EIGHT_BIT_FRACTION = 0.01

# An ill-conditioned model may differ by so many times what ONNX Runtime's own optimizations, or
# rounding its inputs or weights, make it differ from itself; see `noise.py`.
NOISE_FACTOR = 2.0

# The error of a result against float64, where that can be had, may be so many times the original's own, or
# this part of the table's limit, whichever is larger. Where the original is beyond the table's limit itself,
# a result with at most this part of its error is right. See `criterion.py`.
ERROR_FACTOR = 8.0
ERROR_FLOOR = 0.05
ERROR_BETTER = 0.5

# A slice of an output (all boxes, all scores of one class) is held to its own scale where it has
# this many elements, but never to less than this part of the whole output's scale: below that, a
# small slice may be the difference of large numbers.
SLICE_ELEMENTS = 64
SLICE_FLOOR = 0.01
