"""Ratios: what noise can explain is no difference, and what it cannot is one."""

import numpy as np
import pytest

from ncgopt.measure.ratio import FLOOR, ratio_of


def _blocks(median, spread, seed, count=40):
    rng = np.random.default_rng(seed)
    return [list(median * rng.lognormal(0.0, spread, 5)) for _ in range(count)]


def test_twice_as_fast():
    found = ratio_of(_blocks(2.0, 0.05, 0), _blocks(1.0, 0.05, 1))
    assert found.verdict == "faster"
    assert 1.9 < found.low < found.value < found.high < 2.1
    assert not found.slower_than(0.0)


def test_ten_percent_slower():
    found = ratio_of(_blocks(1.0, 0.02, 0), _blocks(1.1, 0.02, 1))
    assert found.verdict == "slower"
    assert found.slower_than(0.05)
    assert not found.slower_than(0.15)


@pytest.mark.parametrize("seed", range(5))
def test_the_same_is_no_difference(seed):
    assert ratio_of(_blocks(1.0, 0.1, seed), _blocks(1.0, 0.1, seed + 100)).verdict == "no difference within noise"


def test_a_sure_difference_below_the_floor_is_none():
    found = ratio_of([[1.0 + FLOOR / 2]] * 40, [[1.0]] * 40)
    assert found.low > 1
    assert found.verdict == "no difference within noise"


def test_noise_that_hits_both_blocks_of_a_pair_cancels():
    drift = np.random.default_rng(0).uniform(1, 3, 40)  # a neighbour comes and goes
    found = ratio_of([[1.1 * d] for d in drift], [[d] for d in drift])
    assert (found.verdict, found.low, found.high) == ("faster", pytest.approx(1.1), pytest.approx(1.1))


def test_few_pairs_prove_nothing():
    found = ratio_of([[2.0]] * 3, [[1.0]] * 3)
    assert (found.value, found.verdict) == (2.0, "no difference within noise")


def test_nothing_is_no_ratio():
    with pytest.raises(ValueError, match="nothing"):
        ratio_of([], [])
