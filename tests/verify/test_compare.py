"""What counts as the same output, and by how much others miss."""

import ml_dtypes
import numpy as np
import pytest

from ncgopt.verify.compare import compare_outputs, excess
from ncgopt.verify.tolerance import RELATIVE


def compare(original, result, **options):
    (difference,) = compare_outputs(["y"], [original], [result], **options)
    return difference


def around(dtype, factor):
    """A result that is off by `factor` times what the table allows at scale 1."""
    original = np.array([1.0, -0.5, 0.0]).astype(dtype)
    wrong = original.astype(np.complex128 if original.dtype.kind == "c" else np.float64)
    wrong[1] += factor * RELATIVE[original.dtype.name]
    return compare(original, wrong.astype(dtype))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16, np.complex64])
def test_floats_are_relative_to_the_scale(dtype):
    assert around(dtype, 0.5).ok
    assert not around(dtype, 2.0).ok


def test_limit_grows_with_the_output():
    assert not compare(np.float32([1, 0]), np.float32([1, 1e-3])).ok
    assert compare(np.float32([100, 0]), np.float32([100, 1e-3])).ok


def test_small_slice_beside_a_large_one_has_a_scale_of_its_own():
    """Boxes in the hundreds and scores below one share an output."""
    original = np.concatenate([np.full((1, 100), 600.0), np.full((1, 100), 0.5)]).astype(np.float32)
    wrong = original.copy()
    wrong[1, 7] += 0.01
    assert not compare(original, wrong).ok
    wrong = original.copy()
    wrong[0, 7] += 0.01
    assert compare(original, wrong).ok


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_equal_nan_and_infinities_are_equal(odd):
    assert compare(np.float32([odd, 1]), np.float32([odd, 1])).ok
    assert not compare(np.float32([odd, 1]), np.float32([0, 1])).ok
    assert not compare(np.float32([0, 1]), np.float32([odd, 1])).ok


def test_infinities_of_different_sign_differ():
    assert "inf" in compare(np.float32([np.inf]), np.float32([-np.inf])).detail


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_, ml_dtypes.int4])
def test_whole_numbers_are_exact(dtype):
    original = np.array([1, 0, 1]).astype(dtype)
    wrong = np.array([1, 1, 1]).astype(dtype)
    assert compare(original, original.copy()).ok
    difference = compare(original, wrong)
    assert not difference.ok
    assert difference.mismatches == 1


def test_large_integers_are_not_rounded_together():
    assert not compare(np.int64([2**60]), np.int64([2**60 + 1])).ok


def test_off_by_one_passes_only_for_few_eight_bit_values_of_a_quantized_model():
    original = np.zeros(1000, np.uint8)
    few, many, far = original.copy(), original.copy(), original.copy()
    few[:5], many[:50], far[:5] = 1, 1, 2
    assert compare(original, few, quantizes=True).ok
    assert not compare(original, few).ok
    assert not compare(original, many, quantizes=True).ok
    assert not compare(original, far, quantizes=True).ok
    assert not compare(original.astype(np.int32), few.astype(np.int32), quantizes=True).ok


def test_shape_and_dtype_are_named():
    assert "shape [3] instead of [2]" in compare(np.zeros(2, np.float32), np.zeros(3, np.float32)).detail
    assert "dtype float64 instead of float32" in compare(np.zeros(2, np.float32), np.zeros(2)).detail


def test_strings_sequences_maps_and_nothing():
    assert compare(np.array(["a", "b"], object), np.array(["a", "b"])).ok
    assert "1 of 2 strings" in compare(np.array(["a", "b"], object), np.array(["a", "c"], object)).detail
    one, two = np.float32([1]), np.float32([2])
    assert compare([one, two], [one, two]).ok
    assert not compare([one, two], [one, one]).ok
    assert "1 values instead of 2" in compare([one, two], [one]).detail
    assert compare([{"a": 0.5}], [{"a": 0.5}]).ok
    assert not compare([{"a": 0.5}], [{"a": 0.6}]).ok
    assert "keys" in compare({"a": 0.5}, {"b": 0.5}).detail
    assert compare(None, None).ok
    assert not compare(None, one).ok


def test_random_outputs_still_need_their_shape():
    assert compare(np.float32([1, 2]), np.float32([5, 6]), random=["y"]).ok
    assert not compare(np.float32([1, 2]), np.float32([5]), random=["y"]).ok


def test_difference_beyond_the_first_piece_of_a_large_output_is_found():
    original = np.zeros(5_000_000, np.float32)
    original[0] = 1
    wrong = original.copy()
    wrong[-1] = 0.5
    assert compare(original, wrong).max_abs == 0.5


def test_excess_orders_differences():
    fine = compare(np.float32([1]), np.float32([1]))
    off = compare(np.float32([1]), np.float32([1.1]))
    broken = compare(np.float32([1]), np.float32([np.nan]))
    assert excess(fine) == 0 < 1 < excess(off) < excess(broken)
