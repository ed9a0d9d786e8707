"""What a model declares against what is proven."""

from __future__ import annotations

import onnx
import pytest

from ncgopt import facts
from ncgopt.facts.declared import contradictions
from ncgopt.model import from_proto


def found(info: str, output: str = "float[N, 4] y"):
    model = from_proto(
        onnx.parser.parse_model(
            f'<ir_version: 10, opset_import: ["" : 21]> g (float[N, 4] x) => ({output}) <{info}> {{ t = Neg(x) y = Abs(t) }}'
        )
    ).model
    facts.survey(model)
    return [one.text for one in contradictions(model)]


@pytest.mark.parametrize("info", ["float[N, 4] t", "float[M, K] t", "float[2, 4] t", "float t", "float[?, 4] t"])
def test_what_may_be_true_is_no_contradiction(info):
    if info == "float t":
        assert found(info) == ["t is declared as [], and is [N,4]"]  # a scalar, not an unknown rank
    else:
        assert found(info) == []


@pytest.mark.parametrize(
    ("info", "says"),
    [
        ("float[N, 5] t", "t is declared as [N,5], and is [N,4]"),
        ("float[N] t", "t is declared as [N], and is [N,4]"),
        ("int64[N, 4] t", "t is declared as int64, and is float"),
    ],
)
def test_what_cannot_be_is_reported(info, says):
    assert found(info) == [says]


def test_outputs_are_declared_too():
    assert found("float[N, 4] t", "float[N, 3] y") == ["y is declared as [N,3], and is [N,4]"]


def test_facts_do_not_follow_a_wrong_declaration():
    model = from_proto(
        onnx.parser.parse_model(
            '<ir_version: 10, opset_import: ["" : 21]> g (float[N, 4] x) => (float[N, 4] y)'
            "<float[7] t> { t = Neg(x) y = Abs(t) }"
        )
    ).model
    facts.survey(model)
    assert facts.shape(model.graph.outputs[0]) == ("N", 4)
