"""Shapes of what comes out of a sequence, against what comes out under several bindings."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from ncgopt import facts
from ncgopt import model as models
from ncgopt.facts import symbols
from ncgopt.rewrite.session import Session, all_nodes

HEAD = '<ir_version: 10, opset_import: ["" : 18]>\ng (float[N, 6] x, int64 fed) => (float[K, L] y) '
CONSTANTS = "<int64 one = {1}, int64 zero = {0}, int64 last = {-1}, int64 four = {4}, int64[2] parts = {1, 5}, int64[2] odd = {5, 1}> "
SHAPES = {
    "s = SplitToSequence<axis = 1>(x, four)  y = SequenceAt(s, zero)": ("N", 4),
    "s = SplitToSequence<axis = -1>(x, four)  y = SequenceAt(s, one)": ("N", 2),
    "s = SplitToSequence<axis = 1>(x, four)  y = SequenceAt(s, last)": ("N", 2),
    "s = SplitToSequence<axis = 1>(x, parts)  y = SequenceAt(s, one)": ("N", 5),
    "s = SplitToSequence<axis = 1>(x, odd)  y = SequenceAt(s, last)": ("N", 1),
    "s = SplitToSequence(x, four)  y = SequenceAt(s, one)": ("min(4, N - 4)", 6),
    "s = SplitToSequence(x, four)  y = SequenceAt(s, last)": (None, 6),
    "s = SplitToSequence<axis = 1>(x, four)  y = SequenceAt(s, fed)": ("N", None),
    "s = SplitToSequence(x)  y = SequenceAt(s, fed)": (1, 6),
}


@pytest.mark.parametrize("body", SHAPES)
def test_shapes_hold_whatever_is_fed(body: str):
    proto = onnx.parser.parse_model(HEAD + CONSTANTS + "{ " + body + " }")
    model = models.from_proto(proto).model
    Session(model)
    found = facts.shape(list(all_nodes(model))[-1].outputs[0])
    assert found is not None
    known = [(d if isinstance(d, int) else None) if symbols.is_vague(d) else d for d in found]
    expected = SHAPES[body]
    session = ort.InferenceSession(proto.SerializeToString())
    for n in (5, 7, 8):
        fed = {"x": np.zeros((n, 6), np.float32), "fed": np.array(1, np.int64)}
        actual = session.run(None, {i.name: fed[i.name] for i in session.get_inputs()})[0].shape
        assert len(known) == len(actual) == len(expected)
        for stated, wanted, real in zip(known, expected, actual, strict=True):
            assert (stated is None) == (wanted is None)
            assert symbols.evaluate(stated, {"N": n}) in (None, real)
            assert (symbols.evaluate(stated, {"N": n}) is None) == (wanted is None)


def test_a_part_without_its_axis_has_one_dimension_less():
    text = (
        HEAD.replace("float[K, L] y", "float[K] y") + "{ s = SplitToSequence<keepdims = 0>(x)  y = SequenceAt(s, fed) }"
    )
    model = models.from_proto(onnx.parser.parse_model(text)).model
    Session(model)
    assert facts.shape(list(all_nodes(model))[-1].outputs[0]) == (6,)


def test_a_sequence_of_tensors_of_any_shape_says_nothing():
    text = HEAD + "{ z = Neg(x)  s = SequenceConstruct(x, z)  y = SequenceAt(s, fed) }"
    model = models.from_proto(onnx.parser.parse_model(text)).model
    Session(model)
    assert facts.shape(list(all_nodes(model))[-1].outputs[0]) is None
