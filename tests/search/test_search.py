"""Graphs where greedy rules get stuck, and what a search makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import ncgopt
from ncgopt.measure.ratio import Ratio
from ncgopt.pipeline import exploration
from ncgopt.pipeline.trial import Trials
from ncgopt.report import Report
from ncgopt.rewrite.avoided import Avoided
from ncgopt.runtime import Worker
from ncgopt.search.explore import signature
from ncgopt.search.replay import Step
from ncgopt.search.window import MAX_NODES, around, extract
from ncgopt.settings import Settings


def _model(path: Path, text: str, **weights: tuple[int, ...]) -> Path:
    model = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]> {text}')
    rng = np.random.default_rng(0)
    for name, shape in weights.items():
        array = (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    onnx.save(model, path)
    return path


def two_slices(folder: Path) -> Path:
    """20 of 512 columns are used, by two slices: either alone would leave the whole product to the other."""
    return _model(
        folder / "slices.onnx",
        """g (float[n,256] x) => (float[n,10] a, float[n,10] b)
        <int64[1] z = {0}, int64[1] e = {10}, int64[1] f = {20}, int64[1] axis = {1}> {
            p = MatMul(x, w) q = Add(p, bias) a = Slice(q, z, e, axis) b = Slice(q, e, f, axis) }""",
        w=(256, 512),
        bias=(512,),
    )


def swap_then_merge(folder: Path) -> Path:
    """The second convolution before the enlargement makes more to enlarge, but then it merges with the first."""
    return _model(
        folder / "swap.onnx",
        """g (float[1,16,32,32] x) => (float[1,64,64,64] y) <float[4] scales = {1.0, 1.0, 2.0, 2.0}> {
            a = Conv(x, v) b = Resize<mode = "nearest">(a, , scales) y = Conv(b, w) }""",
        v=(32, 16, 1, 1),
        w=(64, 32, 1, 1),
    )


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _operators(report: Report) -> dict[str, int]:
    assert report.after is not None
    return dict(report.after.operators)


def test_two_slices_pay_only_together(tmp_path):
    model = two_slices(tmp_path)
    stuck = ncgopt.optimize(model, Settings(verify=False, dry_run=True))
    assert _operators(stuck)["Slice"] == 2
    report = ncgopt.optimize(model, Settings(search=20.0))
    assert report.search is not None
    assert [one.kept for one in report.search.found] == [True]
    assert report.search.found[0].steps[0].startswith("fold-slice-into-matmul at ")
    assert report.search.found[0].estimated > 2
    assert report.search.complete
    assert "Slice" not in _operators(report)
    assert report.after.weight_bytes < stuck.after.weight_bytes / 10
    assert report.verification.status == "passed"


def test_a_swap_that_costs_before_a_merge_that_pays(tmp_path):
    model = swap_then_merge(tmp_path)
    stuck = ncgopt.optimize(model, Settings(verify=False, dry_run=True))
    assert _operators(stuck) == {"Conv": 2, "Resize": 1}
    report = ncgopt.optimize(model, Settings(search=20.0))
    assert report.search is not None
    assert [step.partition(" ")[0] for one in report.search.found for step in one.steps] == ["reorder-conv-resize"]
    assert _operators(report) == {"Conv": 1, "Resize": 1}
    assert report.verification.status == "passed"


def test_nothing_to_find(tmp_path):
    model = _model(tmp_path / "a.onnx", "g (float[n,8] x) => (float[n,8] y) { a = Sin(x) y = Cos(a) }")
    report = ncgopt.optimize(model, Settings(search=20.0, verify=False))
    assert report.search is not None
    assert (report.search.found, report.search.complete) == ((), True)


def test_what_is_not_faster_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(exploration._Judge, "ratio", lambda *_: Ratio(0.9, 0.85, 0.95, 20))
    report = ncgopt.optimize(two_slices(tmp_path), Settings(search=20.0, verify=False))
    assert report.search is not None
    assert [(one.kept, one.ratio) for one in report.search.found] == [(False, 0.9)]
    assert _operators(report)["Slice"] == 2


def test_steps_that_cannot_be_made_any_more_are_left_out(tmp_path):
    with Worker() as worker:
        trials = Trials(two_slices(tmp_path), Settings(verify=False), worker, tmp_path)
        trials.steps = (Step("fold-slice-into-matmul", "nowhere"), Step("fold-slice-into-conv", "a"))
        trial = trials.run()
    assert trial.failure is None
    assert {rewrite.source for rewrite in trial.report.rewrites} == {"fuse-matmul-add"}


def test_a_window_is_bounded_and_keeps_what_others_read(tmp_path):
    nodes = " ".join(f"t{k + 1} = Sin(t{k})" for k in range(50))
    model = _model(tmp_path / "a.onnx", f"g (float[n,8] t0) => (float[n,8] t50) {{ {nodes} }}")
    with Worker() as worker:
        start = Trials(model, Settings(), worker, tmp_path).begin(Avoided())
        seed = start.model.graph[25]
        chosen = around(seed)
        window = extract(chosen, start.model)
    assert len(chosen) == MAX_NODES
    assert window is not None
    assert len(window.graph.inputs) == len(window.graph.outputs) == 1
    assert signature(window.graph) == signature(window.clone().graph)
