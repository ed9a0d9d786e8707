"""Capturing, with a framework of our own: its exporter writes what it is told, and the program is numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest

from ncgopt.capture import CannotCapture, CaptureReport, CaptureSettings, capture, parse
from ncgopt.capture import run as running
from ncgopt.capture.program import ProgramRefuses
from ncgopt.errors import Inconclusive, Usage, VerificationFailed

LINEAR = """<ir_version: 10, opset_import: ["" : 21]>
g (float[n, 4] x) => (float[n, 4] y) <float[4] k = {1.0, 2.0, 3.0, 4.0}> { t = Mul(x, k)  y = Identity(t) }"""
ROWS = np.array([1, 2, 3, 4], np.float32)


@dataclass
class Fake:
    """A program of `compute`, which its exporter turns into `text`."""

    text: str
    compute: Callable[..., Any]
    own: tuple[Any, ...] = ()
    changes: list[str] = field(default_factory=list)
    remembers: list[bytes] = field(default_factory=list)
    framework: ClassVar[str] = "Fake 1.0"

    def inputs(self):
        return self.own

    def run(self, feeds, specs):
        try:
            found = self.compute(*(feeds[spec.name] for spec in specs))
        except ValueError as error:
            raise ProgramRefuses(str(error)) from error
        return list(found) if isinstance(found, tuple) else [found]

    def state(self):
        return self.remembers.pop() if self.remembers else b""

    def export(self, path, specs, request):
        onnx.save(onnx.parser.parse_model(self.text), path)


@pytest.fixture
def take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def go(program: Fake, *inputs: str, **settings: Any) -> tuple[CaptureReport, onnx.ModelProto]:
        monkeypatch.setattr(running, "find", lambda *_, **__: program)
        chosen = CaptureSettings(inputs=tuple(map(parse, inputs)), measure=0.0, **settings)
        report = capture("a.b:c", tmp_path / "out.onnx", chosen)
        return report, onnx.load(tmp_path / "out.onnx")

    return go


def dims(value: onnx.ValueInfoProto) -> list[int | str]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_what_it_says_and_writes(take):
    report, model = take(Fake(LINEAR, lambda x: x * ROWS), "x:f32[batch,4]")
    assert dims(model.graph.input[0]) == ["batch", 4]
    assert dims(model.graph.output[0]) == ["batch", 4]
    assert [node.op_type for node in model.graph.node] == ["Mul"]
    assert report.framework == "Fake 1.0"
    assert {one.sizes["batch"] for one in report.static} >= {1, 2, 3}
    assert len(report.static) == len(report.optimized) == 6
    assert all(one.ok for one in (*report.static, *report.optimized))


def test_unoptimized_is_as_exported(take):
    report, model = take(Fake(LINEAR, lambda x: x * ROWS), "x:f32[batch,4]", optimize=None)
    assert [node.op_type for node in model.graph.node] == ["Mul", "Identity"]
    assert report.optimized == []


def test_an_exporter_that_is_wrong_is_caught_and_nothing_written(take, tmp_path: Path):
    with pytest.raises(VerificationFailed, match=r"computes something else at batch=.*output y differs"):
        take(Fake(LINEAR, lambda x: x * ROWS * np.float32(1.01)), "x:f32[batch,4]")
    assert not (tmp_path / "out.onnx").exists()


def test_wrong_only_where_it_was_not_traced(take):
    """The exporter took the size it traced with, 3, for the only one."""
    text = LINEAR.replace("t = Mul(x, k)", "s = Shape<start=0, end=1>(x)  c = Constant<value = int64[1] {3}>()  "
                          "q = Div(s, c)  f = Cast<to=1>(q)  m = Mul(x, k)  t = Mul(m, f)")  # fmt: skip
    with pytest.raises(VerificationFailed, match="batch=1:"):
        take(Fake(text, lambda x: x * ROWS), "x:f32[batch,4]")


def test_a_graph_that_does_not_run_at_another_size(take):
    text = LINEAR.replace("y = Identity(t)", "s = Constant<value = int64[2] {3, 4}>()  y = Reshape(t, s)")
    with pytest.raises(VerificationFailed, match="does not run at batch=1"):
        take(Fake(text, lambda x: x * ROWS), "x:f32[batch,4]")


def test_a_dimension_that_has_become_fixed(take):
    text = LINEAR.replace("[n, 4]", "[3, 4]")
    with pytest.raises(CannotCapture, match=r"batch \(axis 0 of x\) has become 3; --allow-fixed"):
        take(Fake(text, lambda x: x * ROWS), "x:f32[batch,4]")
    report, model = take(Fake(text, lambda x: x * ROWS), "x:f32[batch,4]", allow_fixed=True)
    assert dims(model.graph.input[0]) == [3, 4]
    assert "batch (axis 0 of x) has become 3" in report.notes


def test_two_dimensions_that_have_become_one(take):
    text = """<ir_version: 10, opset_import: ["" : 21]>
    g (float[s, s] x) => (float[s, s] y) { y = Relu(x) }"""
    with pytest.raises(CannotCapture, match=r"b \(axis 1 of x\) has become the same as a"):
        take(Fake(text, lambda x: np.maximum(x, 0)), "x:f32[a,b]")


def test_two_dimensions_that_may_become_one(take):
    text = """<ir_version: 10, opset_import: ["" : 21]>
    g (float[s, s] x) => (float[s, s] y) { y = Relu(x) }"""
    ranges = {"a": (1, 2), "b": (1, 2)}
    report, _ = take(Fake(text, lambda x: np.maximum(x, 0)), "x:f32[a,b]", allow_fixed=True, ranges=ranges)
    assert any(one.sizes["a"] == one.sizes["b"] and one.ok for one in report.static)
    assert any(one.sizes["a"] != one.sizes["b"] for one in report.static)


def test_a_graph_that_takes_nothing_that_the_program_takes(take):
    text = LINEAR.replace("[n, 4]", "[99, 4]")
    with pytest.raises(Inconclusive, match="takes none of the sizes"):
        take(Fake(text, lambda x: x * ROWS), "x:f32[batch,4]", allow_fixed=True)


def test_a_program_that_refuses_all_data_cannot_be_compared(take):
    calls: list[int] = []

    def compute(x):
        calls.append(1)
        if len(calls) > 2:  # the first two are about peculiarities
            raise ValueError("tired")
        return x * ROWS

    with pytest.raises(Inconclusive, match="refuses all data that were tried, for example: tired"):
        take(Fake(LINEAR, compute), "x:f32[batch,4]")


@pytest.mark.parametrize(
    ("text", "says"), [("x:f64[batch,4]", "float32 in the static graph"), ("x:f32[4]", "2 dimensions")]
)
def test_an_input_of_another_kind(text: str, says: str, take):
    with pytest.raises(CannotCapture, match=says):
        take(Fake(LINEAR, lambda x: x * ROWS), text)


def test_names_of_the_exporter_are_replaced_everywhere(take):
    text = """<ir_version: 10, opset_import: ["" : 21]>
    g (float[unk__7, unk__8] args_0) => (float[unk__9, unk__10] y) { y = Concat<axis=1>(args_0, args_0) }"""
    report, model = take(Fake(text, lambda x: np.concatenate([x, x], 1)), "x:f32[batch,width]")
    assert model.graph.input[0].name == "x"
    assert dims(model.graph.input[0]) == ["batch", "width"]
    assert dims(model.graph.output[0])[0] == "batch"
    assert "unk__" not in str(model)
    assert report.interface is not None


def test_random_programs_cannot_be_judged(take):
    random = np.random.default_rng(0)
    with pytest.raises(Inconclusive, match="random"):
        take(Fake(LINEAR, lambda x: x * ROWS + random.standard_normal()), "x:f32[batch,4]")


def test_memory_is_reported(take):
    report, _ = take(Fake(LINEAR, lambda x: x * ROWS, remembers=[b"after", b"before"]), "x:f32[batch,4]")
    assert any("state" in note for note in report.notes)


def test_sizes_that_the_program_refuses_are_named(take):
    def compute(x):
        if x.shape[0] > 4:
            raise ValueError("too long")
        return x * ROWS

    report, _ = take(Fake(LINEAR, compute), "x:f32[batch,4]")
    assert report.refused
    assert {why for _, why in report.refused} == {"too long"}
    assert all(one.sizes["batch"] <= 4 for one in report.static)


def test_ranges_are_kept(take):
    report, _ = take(Fake(LINEAR, lambda x: x * ROWS), "x:f32[batch,4]", ranges={"batch": (2, 3)})
    assert {one.sizes["batch"] for one in report.static} == {2, 3}


def test_a_program_that_does_not_run_at_all(take):
    with pytest.raises(CannotCapture, match=r"does not run on x \[3, 5\].*--example"):
        take(Fake(LINEAR, lambda x: x * ROWS), "x:f32[batch,5]")


def test_inputs_that_the_program_knows_itself(take):
    own = (parse("x:f32[batch,4]"),)
    report, _ = take(Fake(LINEAR, lambda x: x * ROWS, own=own))
    assert report.inputs == own
    with pytest.raises(Usage, match="has the inputs x"):
        take(Fake(LINEAR, lambda x: x * ROWS, own=own), "a:f32[batch,4]", "b:f32[batch,4]")


def test_nothing_is_said_of_the_inputs(take):
    with pytest.raises(Usage, match="what goes into"):
        take(Fake(LINEAR, lambda x: x * ROWS))


def test_an_input_that_nothing_depends_on(take):
    report, model = take(Fake(LINEAR, lambda x, z: x * ROWS), "x:f32[batch,4]", "z:f32[batch]")
    assert report.interface.unused == ("z",)
    assert [value.name for value in model.graph.input] == ["x"]


def test_example(take, tmp_path: Path):
    np.savez(tmp_path / "e.npz", x=np.full((8, 4), 0.5, np.float32))
    report, _ = take(Fake(LINEAR, lambda x: x * ROWS), "x:f32[batch,4]", example=tmp_path / "e.npz")
    assert any(one.sizes == {"batch": 8} and one.origin.endswith("e.npz") for one in report.static)
    with pytest.raises(Usage, match="--input says float32"):
        take(Fake(LINEAR, lambda x: x * ROWS), "x:f32[batch,5]", example=tmp_path / "e.npz")
