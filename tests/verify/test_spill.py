"""Outputs that wait in files, and what is told of them without holding them twice."""

import ml_dtypes
import numpy as np
import pytest

from ncgopt.verify import sketch, spill
from ncgopt.verify.spill import Outputs

VALUES = [
    np.arange(50000, dtype=np.float32),
    np.zeros((0, 3), np.float64),
    np.float32(3.0).reshape(()),
    np.arange(40000, dtype=ml_dtypes.bfloat16),
    np.array(["a", "b"], dtype=object),
    [np.ones(70000, np.int8)],
    {"k": 1.0},
    None,
]


def test_outputs_come_back_as_they_were():
    outputs = Outputs()
    outputs.put(3, VALUES)
    assert 3 in outputs
    assert 0 not in outputs
    for before, after in zip(VALUES, outputs.get(3), strict=True):
        assert type(before) is type(after)
        if isinstance(before, np.ndarray):
            assert (before.dtype, before.shape) == (after.dtype, after.shape)
            assert np.array_equal(before, after)
    outputs.clear()
    assert 3 not in outputs


def test_large_ones_are_not_in_memory(monkeypatch):
    monkeypatch.setattr(spill, "_KEPT", 100)
    one = spill.Spill()
    waiting = [one.put(value) for value in VALUES]
    assert [not isinstance(value, spill._InFile) for value in waiting] == [False, *[True] * 7]
    folder = waiting[0].path.parent
    one.clear()
    assert not folder.exists()


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.complex64])
def test_finiteness_is_counted_piece_by_piece(dtype, monkeypatch):
    monkeypatch.setattr(sketch, "_CHUNK", 7)
    values = np.arange(40).astype(dtype)
    values[[3, 12, 39]] = [np.nan, np.inf, -np.inf]
    assert sketch.finite(values) == pytest.approx(37 / 40)
    assert sketch.finite([values, np.arange(5)]) == pytest.approx(37 / 40)
    assert sketch.finite(np.arange(5)) == 1.0


def test_equal_digests_are_equal_bits():
    a = np.arange(12, dtype=np.float32)
    assert sketch.digest(a) == sketch.digest(a.copy())
    others = [a.reshape(3, 4), a.view(np.int32), -a, a[:11], a[::2], [a, a]]
    assert len({sketch.digest(value) for value in (a, *others)}) == 7
    assert sketch.digest(a.reshape(3, 4).T) == sketch.digest(np.ascontiguousarray(a.reshape(3, 4).T))
