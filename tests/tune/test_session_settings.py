"""Candidates, sidecars, and sessions that use them."""

import dataclasses
import json
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest

import ncgopt
from ncgopt.errors import CannotWrite, Inconclusive
from ncgopt.measure.ratio import Ratio
from ncgopt.runtime import Worker
from ncgopt.runtime.tuned import settings_from
from ncgopt.settings import VerifySettings
from ncgopt.tune import NotTunedHere, Requests, SessionSettings, TuneReport, candidates, read, sidecar_of, write
from ncgopt.tune import sidecar as sidecar_module
from ncgopt.tune.contest import Lane, Subject, Timed, Tried
from ncgopt.tune.tune import _Search

TEXT = """
<ir_version: 10, opset_import: ["" : 21]>
g (float[N, 4] x) => (float[N, 4] y) { a = Exp(x)  y = Add(a, x) }
"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(onnx.parser.parse_model(TEXT), path)
    return path


def report(chosen, **changes):
    asked = Requests(10, 1.0, 1.0, 1.0, 1.0, 0.1)
    return TuneReport(
        model="m.onnx", chosen=chosen, text="", verdict="", ratio=Ratio(1.2, 1.1, 1.3, 12), raced=chosen, default=asked,
        tuned=asked, tried=(), left_out=0, streams=1, cores=2, load=None, parallelism=1.0, data="draw 0", binding={},
        seconds=1.0,
        **changes,
    )  # fmt: skip


def test_there_is_nobody_to_wait_for_on_one_core():
    assert candidates.threading(1, 1, 5.0) == [SessionSettings(intra_op_threads=1)]


def test_threads_spinning_and_mode():
    found = candidates.threading(8, 1, 2.0)
    assert found[0] == SessionSettings(spinning=False)
    assert {one.intra_op_threads for one in found if not one.parallel} == {0, 1, 2, 4, 8}
    assert {one.inter_op_threads for one in found if one.parallel} == {2, 4}
    assert not any(one.parallel and one.memory_pattern for one in found)  # ONNX Runtime cannot do both
    assert not any(one.parallel for one in candidates.threading(8, 1, 1.01))
    assert not any(one.parallel for one in candidates.threading(8, 4, 2.0))
    assert max(one.intra_op_threads for one in candidates.threading(8, 1, 1.0, most=3)) == 3
    assert len(found) == len(set(found))


def test_changes_combine():
    base = SessionSettings(intra_op_threads=2)
    changes = candidates.single_changes(base, flush_denormals=True)
    assert all(len(one.changes()) == 2 for one in changes)
    both = candidates.combined(base, changes)
    assert both == dataclasses.replace(
        base, arena=False, memory_pattern=False, prepacking=False, optimization="extended", flush_denormals=True
    )
    assert candidates.text(both).startswith("2 threads, no arena, no memory pattern, no prepacking")
    assert candidates.text(SessionSettings()) == "the defaults"
    assert not any(one.flush_denormals for one in candidates.single_changes(base, flush_denormals=False))


def test_the_simplest_of_those_that_are_as_good_is_taken():
    search = _Search(None, SessionSettings(), 1.0, print)
    one, two = SessionSettings(spinning=False), SessionSettings(intra_op_threads=1, spinning=False)
    search.tried = [Tried(two, [[1.205]], [[1.0]]), Tried(one, [[1.2]], [[1.0]]), Tried(two, failed="no")]
    assert search._best().tuned == one
    search.tried = [Tried(one, [[1.005]], [[1.0]])]
    assert search._best().tuned == SessionSettings()


def test_all_settings_reach_onnx_runtime():
    options = onnxruntime.SessionOptions()
    SessionSettings(3, 2, True, False, False, False, False, "basic", True).apply(options)
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 2)
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_PARALLEL
    assert not options.enable_cpu_mem_arena
    assert not options.enable_mem_pattern
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    for name, value in {
        "session.intra_op.allow_spinning": "0",
        "session.inter_op.allow_spinning": "0",
        "session.disable_prepacking": "1",
        "session.set_denormal_as_zero": "1",
    }.items():
        assert options.get_session_config_entry(name) == value


def test_a_session_has_what_was_found(model):
    write(report(SessionSettings(intra_op_threads=1, spinning=False)), model, sidecar_of(model))
    assert sidecar_of(model).name == "m.session.json"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session = ncgopt.session(model, log_severity_level=3)
    assert session.get_session_options().intra_op_num_threads == 1
    assert session.get_session_options().log_severity_level == 3
    (y,) = session.run(None, {"x": np.zeros((2, 4), np.float32)})
    assert (y == 1).all()


def test_without_a_sidecar_settings_are_the_defaults(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ncgopt.session(model).get_session_options().intra_op_num_threads == 0


def _changed_model(model, monkeypatch):
    onnx.save(onnx.parser.parse_model(TEXT.replace("Exp", "Neg")), model)


def _other_machine(model, monkeypatch):
    monkeypatch.setattr(sidecar_module, "cores", lambda: 64)


def _no_json(model, monkeypatch):
    sidecar_of(model).write_text("no json")


def _no_end(model, monkeypatch):
    sidecar_of(model).write_text("[" * 100_000)


def _newer(model, monkeypatch):
    sidecar_of(model).write_text('{"schema_version": 2}')


def _unknown_setting(model, monkeypatch):
    entry = json.loads(sidecar_of(model).read_text())
    entry["settings"]["magic"] = True
    sidecar_of(model).write_text(json.dumps(entry))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_changed_model, "has changed"),
        (_other_machine, "another machine"),
        (_no_json, "cannot be read"),
        (_no_end, "cannot be read"),
        (_newer, "no file of this version"),
        (_unknown_setting, "unknown setting 'magic'"),
    ],
)
def test_settings_for_something_else_are_not_used(spoil, says, model, monkeypatch):
    write(report(SessionSettings(intra_op_threads=1)), model, sidecar_of(model))
    spoil(model, monkeypatch)
    with pytest.warns(NotTunedHere, match=says) as found:
        session = ncgopt.session(model)
    assert session.get_session_options().intra_op_num_threads == 0
    assert found[0].filename == __file__


@pytest.mark.parametrize(
    "entry",
    [
        {"intra_op_threads": -1},
        {"intra_op_threads": 1 << 40},
        {"spinning": 1},
        {"optimization": "most"},
        {"intra_op_threads": True},
    ],
)
def test_values_that_a_setting_cannot_have(entry):
    with pytest.raises(ValueError, match="cannot be"):
        settings_from(entry)


def test_a_sidecar_that_cannot_be_written(model, tmp_path):
    with pytest.raises(CannotWrite, match="No such file"):
        write(report(SessionSettings()), model, tmp_path / "no" / "m.session.json")
    assert read(model) == SessionSettings()


def test_a_process_that_died_is_not_measured_on(model):
    subject = Subject(model, None, None, VerifySettings(), 1)
    with Worker() as worker:
        worker.losses = 1
        with pytest.raises(Inconclusive, match="process of the measurement died"):
            Lane(worker, 0.1, Timed()).block(subject, 1)
