"""`optimize --objective`: what it adds, and what the report says."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import numpy_helper

from ncgopt.errors import Usage
from ncgopt.memory.trial import bindings
from ncgopt.pipeline.objective import MEMORY, with_objective
from ncgopt.settings import Settings, VerifySettings
from ncgopt_cli.main import main

HIDDEN = """<ir_version: 8, opset_import: ["" : 17]>
g (float[batch, 256, 64] x) => (float[batch, 256, 64] y) { h = MatMul(x, a)  r = Exp(h)  y = MatMul(r, b) }"""


@pytest.fixture
def hidden(tmp_path):
    model = onnx.parser.parse_model(HIDDEN)
    for name, dims in (("a", (64, 2048)), ("b", (2048, 64))):
        model.graph.initializer.append(numpy_helper.from_array(np.full(dims, 0.01, np.float32), name))
    onnx.save(model, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def optimized(path, *options: str) -> tuple[str, dict]:
    report = path.with_suffix(".json")
    found = CliRunner().invoke(
        main, ["optimize", str(path), "-o", str(path.with_name("out.onnx")), "--report", str(report), *options]
    )
    assert found.exit_code == 0, found.output
    return found.output, json.loads(report.read_text())


def test_memory_lowers_the_peak_and_says_so(hidden):
    text, report = optimized(hidden, "--objective", "memory")
    assert report["verification"]["status"] == "passed"
    assert report["peak"]["binding"] == {"batch": 1}
    assert report["peak"]["before"] >= 4 * 256 * 2048
    assert report["peak"]["after"] <= 0.6 * report["peak"]["before"]
    assert "peak" in text


def test_memory_at_the_sizes_that_are_given(hidden):
    _, report = optimized(hidden, "--objective", "memory", "--verify-bind", "batch=3")
    assert report["peak"]["binding"] == {"batch": 3}
    assert report["peak"]["before"] >= 3 * 4 * 256 * 2048


def test_exact_leaves_out_what_is_rounded_otherwise(hidden):
    _, report = optimized(hidden, "--objective", "memory", "--exact")
    assert "split-for-memory" not in {record["name"] for record in report["passes"]}


@pytest.mark.parametrize("objective", ["size", "nodes"])
def test_the_peak_is_reported_for_every_objective(hidden, objective):
    _, report = optimized(hidden, "--objective", objective)
    assert report["peak"]["after"] == report["peak"]["before"]


def test_without_an_objective_nothing_is_predicted(hidden):
    assert optimized(hidden)[1]["peak"] is None


def test_options_of_the_user_come_first():
    settings = Settings(
        objective="memory",
        options={"split-for-memory": {"at": ("n=2",)}},
        verification=VerifySettings(bind={"n": 7}),
    )
    found = with_objective(settings)
    assert found.passes == ("default", *MEMORY)
    assert found.options["split-for-memory"]["at"] == ("n=2",)
    assert found.options["order-for-memory"]["at"] == ("n=7",)


@pytest.mark.parametrize("text", ["n", "=3", "n=0", "n=-1", "n=x"])
def test_a_size_that_is_none(text):
    with pytest.raises(Usage, match="NAME=N"):
        bindings([text])


def test_texts_have_no_size_and_are_no_obstacle(tmp_path):
    source = '<ir_version: 8, opset_import: ["" : 17]> g (string[N] x, float[N] z) => (string[N] y, float[N] w) '
    onnx.save(onnx.parser.parse_model(source + "{ y = Identity(x)  a = Exp(z)  w = Neg(a) }"), tmp_path / "m.onnx")
    _, report = optimized(tmp_path / "m.onnx", "--objective", "memory")
    assert report["verification"]["status"] == "passed"
    found = CliRunner().invoke(main, ["inspect", str(tmp_path / "m.onnx"), "--memory"])
    assert found.exit_code == 0, found.output
