"""Which constants act on each channel alone."""

import numpy as np
import onnx_ir as ir
import pytest

from ncgopt.facts.affine import per_channel


def constant(array) -> ir.Value:
    graph = ir.Graph([], [], nodes=[], opset_imports={"": 21})
    value = ir.Value(name="k", const_value=ir.tensor(np.asarray(array, dtype=np.float32), name="k"))
    graph.register_initializer(value)
    return value


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (3.0, [3, 3]),
        ([3.0], [3, 3]),
        (np.reshape([1, 2], (2, 1)), [1, 2]),
        (np.reshape([1, 2], (1, 2, 1)), [1, 2]),
        (np.reshape([1, 1, 1, 2, 2, 2], (2, 3)), [1, 2]),
    ],
)
def test_varies_with_the_channel_at_most(array, expected):
    found = per_channel(constant(array), ("N", 2, 3), 1)
    assert found is not None
    assert found.dtype == np.float64
    assert found.tolist() == expected


@pytest.mark.parametrize(
    "array",
    [
        [1.0, 2.0, 3.0],  # along the last axis
        np.reshape([1, 2], (2, 1, 1)),  # along the batch
        np.ones((1, 1, 1, 1)),  # one more dimension
        np.ones((3, 1)),  # more channels
        np.ones((2, 1, 1)),  # equal, but it may enlarge a batch of unknown size
        np.ones((0, 1)),  # nothing
        np.full((2, 3), np.nan),  # nothing is known to equal itself
    ],
)
def test_everything_else_is_unknown(array):
    assert per_channel(constant(array), ("N", 2, 3), 1) is None


def test_a_single_channel_is_not_enlarged():
    assert per_channel(constant([1.0, 2.0]), ("N", 1), -1) is None


def test_channels_of_unknown_number():
    assert per_channel(constant(1.0), ("N", None), -1) is None
