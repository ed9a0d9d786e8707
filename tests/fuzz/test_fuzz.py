"""The fuzzer itself: always the same models, and it finds, shrinks and keeps what is planted."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from fuzz.generate import NoModel, generate
from fuzz.optimizing import optimize, without_guard
from fuzz.record import save
from fuzz.trial import try_index

ONE_IN_CI = range(40)


@pytest.mark.parametrize("index", ONE_IN_CI)
def test_a_slice_of_the_models(index: int):
    result = try_index(0, index)
    assert not result.failures, result.story


def test_a_number_always_means_the_same_model():
    for index in (3, 11, 12):
        first, second = generate(5, index), generate(5, index)
        assert first.model == second.model
        assert first.story == second.story
    assert generate(5, 3).model != generate(6, 3).model


def test_what_it_makes_is_valid_and_often_has_something_to_rewrite():
    changed = 0
    for index in range(0, 120, 7):
        try:
            draft = generate(1, index)
        except NoModel:
            continue
        if draft.story[0].startswith(("eliminate-", "fuse-", "fold-")):
            changed += bool(optimize(draft.model, "onnxruntime").rewrites)
    assert changed >= 6


PLANTED = ("eliminate-mul-one", "no-broadcast")


def test_a_guard_left_out_is_found_and_made_small(tmp_path: Path):
    """Without `no-broadcast`, the product with a larger one loses its shape."""
    for index in range(60):
        result = try_index(0, index, only=PLANTED[0], guard=PLANTED)
        if result.failures:
            break
    failure = result.failures[0]
    record = save(tmp_path, 0, index, failure, PLANTED[0], PLANTED)
    assert record.nodes <= 2
    small = onnx.load(Path(record.folder) / "small.onnx")
    assert any(node.op_type == "Mul" for node in small.graph.node)
    assert json.loads((Path(record.folder) / "failure.json").read_text())["failure"]["kind"] == failure.kind
    with without_guard(*PLANTED):
        pass
    assert not try_index(0, index, only=PLANTED[0]).failures, "the guard is back"
