"""Constants computed in float64 are stored only where rounding costs no more than rounding does."""

import numpy as np
import pytest
from ml_dtypes import bfloat16

from ncgopt.facts.rounding import representable


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, bfloat16])
def test_ordinary_numbers_are_representable(dtype):
    assert representable(np.linspace(-3, 3, 100), np.dtype(dtype))
    assert representable(np.zeros((0, 3)), np.dtype(dtype))


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_is_not(bad):
    assert not representable(np.array([1.0, bad]), np.dtype(np.float32))


@pytest.mark.parametrize(("number", "dtype"), [(1e39, np.float32), (65520.0, np.float16), (3.4e38, bfloat16)])
def test_overflow_is_not(number, dtype):
    assert not representable(np.array([number]), np.dtype(dtype))


def test_the_largest_number_is():
    assert representable(np.array([65504.0]), np.dtype(np.float16))


def test_small_numbers_may_vanish_beside_larger_ones_only():
    assert representable(np.array([1.0, 1e-60]), np.dtype(np.float32))
    assert not representable(np.array([1e-42, 1e-60]), np.dtype(np.float32))


def test_types_without_a_known_precision_are_refused():
    assert not representable(np.array([1.0]), np.dtype(np.int64))
