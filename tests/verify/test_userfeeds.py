"""The user's own inputs must fit, or the message says what does not."""

import ml_dtypes
import numpy as np
import pytest

from ncgopt.errors import InputUnreadable, Usage
from ncgopt.verify.inputs import Input, SequenceType, Survey, TensorType
from ncgopt.verify.userfeeds import load_feeds


def survey(*inputs):
    return Survey(inputs, (), (), ("y",), False, False, ())


MODEL = survey(Input("x", TensorType("float32", ("batch", 3))), Input("ids", TensorType("int64", ("batch",))))
X, IDS = np.zeros((5, 3), np.float32), np.zeros(5, np.int64)


@pytest.fixture
def load(tmp_path):
    def load(model, **arrays):
        path = tmp_path / "feeds.npz"
        np.savez(path, **arrays)
        return load_feeds(path, model)

    return load


def test_arrays_and_sizes(load):
    feeds, binding = load(MODEL, x=X, ids=IDS)
    assert feeds["x"].shape == (5, 3)
    assert binding == {"batch": 5}


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"x": X}, "no array for input ids"),
        ({"x": X, "ids": IDS, "extra": IDS}, "no input extra; it has x, ids"),
        ({"x": X.astype(np.float64), "ids": IDS}, "x is float64, the model takes float32"),
        ({"x": X[:, :2], "ids": IDS}, r"x has shape \[5, 2\], the model takes \['batch', 3\]"),
        ({"x": X[0], "ids": IDS}, r"x has shape \[3\]"),
    ],
)
def test_misfits_are_named(load, arrays, complaint):
    with pytest.raises(Usage, match=complaint):
        load(MODEL, **arrays)


def test_sequences_cannot_come_from_a_file(load):
    with pytest.raises(Usage, match="no tensor"):
        load(survey(Input("s", SequenceType(TensorType("float32", ())))), s=X)


def test_bfloat16_and_strings(load):
    model = survey(Input("b", TensorType("bfloat16", (2,))), Input("w", TensorType("string", (1,))))
    feeds, _ = load(model, b=np.array([1, 2], ml_dtypes.bfloat16), w=np.array(["word"]))
    assert feeds["b"].dtype == ml_dtypes.bfloat16
    assert feeds["w"].tolist() == ["word"]


def test_unreadable_files(tmp_path):
    with pytest.raises(InputUnreadable, match=r"missing\.npz"):
        load_feeds(tmp_path / "missing.npz", MODEL)
    text = tmp_path / "text.npz"
    text.write_text("no archive", encoding="utf-8")
    with pytest.raises(InputUnreadable, match=r"not a \.npz"):
        load_feeds(text, MODEL)
