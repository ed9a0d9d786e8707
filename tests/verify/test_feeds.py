"""Generated data keeps to what is known about an input."""

import numpy as np
import pytest

from ncgopt.verify.feeds import Draw, TooLarge, jittered, make_feeds, perturbed
from ncgopt.verify.inputs import (
    Choice,
    Condition,
    Exact,
    Free,
    Index,
    Input,
    MapType,
    Mask,
    OptionalType,
    SequenceType,
    TensorType,
    Words,
)


def feed(domain=None, dtype="int64", dims=(40,), number=0, binding=None, **draw):
    given = Input("x", TensorType(dtype, dims), domain or Free())
    return make_feeds([given], binding or {}, Draw(number, **draw))["x"]


def test_shapes_follow_the_binding():
    assert feed(dtype="float32", dims=("n", 3, "n + m"), binding={"n": 2, "m": 5}).shape == (2, 3, 7)


def test_unknown_rank_is_bound_too():
    assert feed(dtype="float32", dims=None, binding={"rank of x": 3, "x[...]": 2}).shape == (2, 2, 2)


@pytest.mark.parametrize("number", [0, 1])
def test_indices_stay_inside(number):
    values = feed(Index(7), number=number)
    assert values.min() >= 0
    assert 3 < values.max() < 7
    shifted = feed(Index(7, -2), number=number)
    assert shifted.min() >= 0
    assert shifted.max() <= 4
    assert feed(Index("n"), binding={"n": 3}).max() == 2


def test_masks_keep_at_least_one_in_every_row():
    assert feed(Mask(), dims=(5, 8)).all()
    mask = feed(Mask(), dims=(50, 8), number=1)
    assert set(np.unique(mask)) == {0, 1}
    assert mask.any(axis=1).all()


def test_conditions_and_choices_take_turns():
    assert [bool(feed(Condition(), "bool", (), number)) for number in (0, 1)] == [True, False]
    assert [int(feed(Choice((8000.0, 16000.0)), dims=(), number=number)) for number in (0, 1, 2)] == [
        8000,
        16000,
        16001,
    ]


def test_exact_contents_are_repeated_to_length():
    assert feed(Exact(((-1, 1),)), dims=(3,)).tolist() == [-1, 1, 1]
    assert feed(Exact(((0, 1, 2),)), dims=(2,)).tolist() == [0, 1]


def test_same_draw_same_data_other_draw_other_data():
    assert np.array_equal(feed(dtype="float32"), feed(dtype="float32"))
    assert not np.array_equal(feed(dtype="float32"), feed(dtype="float32", number=1))
    assert not np.array_equal(feed(dtype="float32"), feed(dtype="float32", seed=1))


def test_mixed_data_has_zeros_and_large_values():
    values = feed(dtype="float32", dims=(1000,), floats="mixed")
    assert (values == 0).any()
    assert np.abs(values).max() > 6
    assert np.isfinite(values).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float8_e4m3fn", "complex64", "uint8", "int4", "bool"])
def test_every_dtype_is_made(dtype):
    assert feed(dtype=dtype).dtype.name == dtype


def test_strings_sequences_optionals_and_maps():
    words = feed(Words(("cat",)), "string", (100,))
    assert "cat" in words
    assert len(set(words)) > 2
    of = TensorType("float32", (2,))
    several = make_feeds([Input("s", SequenceType(of))], {}, Draw())["s"]
    assert len(several) == 3
    assert not np.array_equal(several[0], several[1])
    optional = Input("o", OptionalType(of))
    assert make_feeds([optional], {}, Draw(0))["o"].shape == (2,)
    assert make_feeds([optional], {}, Draw(1))["o"] is None
    mapped = make_feeds([Input("m", MapType("string", of), Words(("a", "b")))], {}, Draw())["m"]
    assert list(mapped) == ["a", "b"]
    assert all(isinstance(value, float) for value in mapped.values())


def test_absurd_sizes_are_refused():
    with pytest.raises(TooLarge):
        feed(dtype="float32", dims=("n", "n", "n"), binding={"n": 4096})
    with pytest.raises(TooLarge):
        feed(dtype="float32", dims=("n - 5",), binding={"n": 1})


def test_jitter_moves_floats_by_rounding_errors_only():
    feeds = {"f": np.float32([1, 100]), "i": np.int64([5]), "s": [np.float32([3])]}
    moved = jittered(feeds, Draw(jitter=4.0))
    assert 0 < np.abs(moved["f"] / feeds["f"] - 1).max() < 1e-6
    assert moved["s"][0] != 3
    assert moved["i"] == 5


@pytest.mark.parametrize("default", [np.float32([[1, 2]]), np.int64([3]), np.array([True]), np.array(["a"], object)])
def test_overrides_differ_but_keep_their_form(default):
    other = perturbed(default, Draw())
    assert other.shape == default.shape
    assert other.dtype == default.dtype
    assert (other != default).all()
