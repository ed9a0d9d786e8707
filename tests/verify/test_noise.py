"""How far the original's own noise excuses a result."""

import pytest

from ncgopt.report import OutputDifference
from ncgopt.verify.noise import allow


def floats(max_abs, limit=1.0):
    return OutputDifference("y", max_abs, 10.0, limit, mismatches=1, elements=100)


def flips(count):
    return OutputDifference("y", 7.0 if count else 0.0, 10.0, 0.0, mismatches=count, elements=100)


def test_within_the_limit_nothing_changes():
    assert allow(floats(0.5), [floats(3.0)], optimized=False) == floats(0.5)


def test_limit_becomes_twice_the_noise():
    assert allow(floats(5.9), [floats(3.0)], optimized=False).ok
    assert not allow(floats(6.1), [floats(3.0)], optimized=False).ok
    assert allow(floats(5.9), [floats(3.0)], optimized=False).noise == 3.0


@pytest.mark.parametrize("noise", [[], [floats(0.0)], [floats(0.4)]])
def test_without_noise_the_table_stands(noise):
    assert not allow(floats(1.1), noise, optimized=True).ok


def test_ties_may_flip_as_often_as_the_original_flips_itself():
    assert allow(flips(2), [flips(1)], optimized=False).ok
    assert not allow(flips(3), [flips(1)], optimized=False).ok
    assert not allow(flips(1), [flips(0)], optimized=False).ok


def test_nan_pattern_may_change_only_where_optimizing_the_original_changes_it():
    odd = OutputDifference("y", 0.0, 1.0, 0.0, "1 values like nan where the original has 1", 1, 100)
    assert allow(odd, [odd], optimized=True).ok
    assert not allow(odd, [odd], optimized=False).ok
    assert not allow(odd, [floats(0.0)], optimized=True).ok
