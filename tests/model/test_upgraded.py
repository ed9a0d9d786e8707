"""Another operator set changes two numbers and the nodes that need it, and nothing else of a model."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from full_model import build

from ncgopt import opset
from ncgopt.model import Contract, from_proto, to_proto
from ncgopt.rewrite.session import Session


def upgraded(proto: onnx.ModelProto, version: int) -> onnx.ModelProto:
    model = from_proto(proto).model
    contract = Contract.of(model)
    change = opset.upgrade(model, version, Session(model).fresh_name, lambda opset_version, ir_version: True)
    assert not opset.expected_contract(contract, change).differences(Contract.of(model))
    return to_proto(model)


def test_every_field_survives():
    before = build()
    after = upgraded(before, 23)
    expected = onnx.ModelProto.FromString(to_proto(from_proto(before).model).SerializeToString())
    for opsets in (expected.opset_import, *(function.opset_import for function in expected.functions)):
        for item in opsets:
            if not item.domain:
                item.version = 23
    assert after == expected


@pytest.mark.parametrize(("version", "ir_version"), [(8, 3), (9, 4), (20, 9), (23, 11)])
def test_the_ir_version_rises_as_far_as_needed(version, ir_version):
    before = onnx.parser.parse_model(
        '<ir_version: 3, opset_import: ["" : 7]> g (float[2] x) => (float[2] y) { y = Abs(x) }'
    )
    assert upgraded(before, version).ir_version == ir_version


def test_a_newer_ir_version_stays():
    before = onnx.parser.parse_model(
        '<ir_version: 13, opset_import: ["" : 7]> g (float[2] x) => (float[2] y) { y = Abs(x) }'
    )
    assert upgraded(before, 22).ir_version == 13


def test_initializers_of_an_old_file_do_not_become_overridable():
    before = onnx.parser.parse_model(
        '<ir_version: 3, opset_import: ["" : 7]> g (float[2] x, float[2] w) => (float[2] y) { y = Add(x, w) }'
    )
    before.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(2, np.float32), "w"))
    assert [value.name for value in upgraded(before, 8).graph.input] == ["x", "w"]
    assert [value.name for value in upgraded(before, 9).graph.input] == ["x"]
