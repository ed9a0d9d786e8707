"""Tasks in processes of this machine: all are done once, whatever becomes of a process."""

import contextlib
import os
import sys
import threading
import time
from pathlib import Path

import onnx
import pytest

from ncgopt.errors import CannotWrite, OutOfResources
from ncgopt.fleet import Done, Engine, beside, call_all, find, into_folder, optimize_all
from ncgopt.fleet.contents import key_of
from ncgopt.fleet.optimizing import Optimized, OptimizerSeat
from ncgopt.report import Report
from ncgopt.runtime import Worker
from ncgopt.runtime.supervised import Supervised
from ncgopt.settings import Settings

QUICK = Settings(verify=False)


def results(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.onnx")}


def run(models, out, jobs=1, settings=None, **options):
    pairs = into_folder(find([str(models)], results_too=True), str(out))
    engine = Engine(jobs=jobs)
    return list(optimize_all(pairs, settings or QUICK, engine=engine, folder=str(out), **options))


def test_results_are_the_same_for_any_number_of_jobs_and_done_once(models, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    first = run(models, one)
    second = run(models, two, jobs=2)
    for finished in (first, second):
        errors = {done.pair.name: done.error for done in finished if done.error is not None}
        assert list(errors) == ["bad.onnx"]
    assert sorted(results(one)) == ["a.onnx", "b.onnx", "deep/c.onnx"]
    assert results(one) == results(two)

    again = run(models, two, jobs=2)
    assert sorted(done.pair.name for done in again if done.before) == ["a.onnx", "b.onnx", "deep/c.onnx"]
    two = two.rename(tmp_path / "moved")
    (two / "a.onnx").write_bytes(b"touched")
    again = run(models, two, settings=QUICK)
    assert sorted(done.pair.name for done in again if done.before) == ["b.onnx", "deep/c.onnx"]
    assert results(one) == results(two)
    again = run(models, two, settings=Settings(verify=False, skip=("eliminate-*",)))
    assert not any(done.before for done in again)


def test_a_worker_that_is_killed_repeats_its_task_alone(planted, tmp_path):
    calls = [(str(tmp_path / "one"), 1), (str(tmp_path / "two"), 2)]
    with contextlib.closing(call_all(f"{planted}:die_once", calls, jobs=2)) as finished:
        found = {done.index: done.value for done in finished}
    assert found == {0: (1, 2), 1: (2, 2)}


def test_an_error_is_of_one_call_alone(planted):
    found = {done.index: done for done in call_all(f"{planted}:fail", [(0,), (1,), (2,)], jobs=2)}
    assert [found[0].value, found[2].value] == [0, 2]
    assert isinstance(found[1].error, ValueError)


def test_what_runs_ends_with_the_generator(planted):
    start = time.monotonic()
    running = call_all(f"{planted}:sleep", [(0.0,), (100.0,)], jobs=2)
    next(running)
    running.close()
    assert time.monotonic() - start < 60
    assert threading.active_count() == 1


def test_a_model_whose_process_is_killed_is_done_again_whole(planted, models, tmp_path, monkeypatch):
    def supervised(*arguments, **named):
        return Supervised(*arguments, entry=f"{planted}:optimize_but_die_once", **named)

    run(models, tmp_path / "calm", settings=Settings())
    monkeypatch.setattr(sys.modules[OptimizerSeat.__module__], "Supervised", supervised)
    found = run(models, tmp_path / "killed", jobs=2, settings=Settings())
    assert (models / "b.onnx.started").exists()
    assert [done.pair.name for done in found if done.error] == ["bad.onnx"]
    assert results(tmp_path / "calm") == results(tmp_path / "killed")


def test_models_run_in_one_process_after_the_other_until_something_goes_wrong(planted, models, tmp_path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "out").mkdir()
    wanted = [models / "a.onnx", models / "b.onnx", models / "deep" / "c.onnx"]
    with Worker() as worker:
        found = worker.call(f"{planted}:one_after_the_other", wanted, tmp_path / "out", tmp_path / "scratch")
    assert found[0] > 0
    assert len(set(found)) == 1
    run(models, tmp_path / "alone", settings=Settings(), supervised=False)
    assert results(tmp_path / "out")["a.onnx"] == results(tmp_path / "alone")["a.onnx"]


def test_a_note_that_cannot_be_written_fails_its_model_alone(models, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".ncgopt").touch()
    found = {done.pair.name: done for done in run(models, tmp_path / "out", supervised=False)}
    assert len(found) == 4
    assert isinstance(found["a.onnx"].error, CannotWrite)
    assert (tmp_path / "out" / "a.onnx").exists()


def test_beside_each_model(models):
    pairs = beside(find([str(models / "a.onnx")], results_too=False), in_place=False)
    found = list(optimize_all(pairs, QUICK, supervised=False))
    assert found[0].error is None
    assert (models / "a.opt.onnx").exists()
    assert not (models / ".ncgopt").exists()


def test_what_had_too_little_memory_is_done_again_alone_with_all_of_it(models, tmp_path, monkeypatch):
    asked = []

    def pretend(engine, seat, tasks, say=None):
        for index, task in enumerate(tasks):
            asked.append((engine.jobs, Path(task.source).name, task.settings.memory_limit))
            lacks = engine.jobs > 1 and task.source.endswith("b.onnx")
            error = OutOfResources(f"{task.source}: out of memory (1 GB) while loading") if lacks else None
            yield Done(index, None if lacks else Optimized(Report(task.source, "0", status="written"), "key"), error)

    monkeypatch.setattr(Engine, "memory_share", lambda engine: 1000 if engine.jobs > 1 else None)
    monkeypatch.setattr(Engine, "run", pretend)
    found = run(models, tmp_path / "out", jobs=2)
    assert sorted(done.pair.name for done in found) == ["a.onnx", "b.onnx", "bad.onnx", "deep/c.onnx"]
    assert not any(done.error for done in found)
    assert sorted(asked[:4], key=str)[1] == (2, "b.onnx", 1000)
    assert asked[4:] == [(1, "b.onnx", None)]


def test_what_has_taken_the_place_of_its_model_is_not_done_again(models, monkeypatch):
    asked = []

    def pretend(engine, seat, tasks, say=None):
        for index, task in enumerate(tasks):
            asked.append((engine.jobs, Path(task.source).name))
            status = "written" if task.source.endswith("b.onnx") else "failed"
            report = Report(task.source, "0", status=status, notes=["out of memory"])
            yield Done(index, Optimized(report, None))

    monkeypatch.setattr(Engine, "memory_share", lambda engine: 1000 if engine.jobs > 1 else None)
    monkeypatch.setattr(Engine, "run", pretend)
    pairs = beside(find([str(models / name) for name in ("a.onnx", "b.onnx")], results_too=True), in_place=True)
    assert len(list(optimize_all(pairs, QUICK, engine=Engine(jobs=2)))) == 2
    assert sorted(asked) == [(1, "a.onnx"), (2, "a.onnx"), (2, "b.onnx")]


@pytest.mark.skipif(not Path(os.devnull).is_absolute(), reason="needs a device with a path")
def test_data_in_a_device_which_may_never_end_are_no_contents(models):
    model = onnx.load(models / "a.onnx")
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.ClearField("float_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", os.devnull
    (models / "device.onnx").write_bytes(model.SerializeToString())
    assert key_of(models / "a.onnx", QUICK) is not None
    assert key_of(models / "device.onnx", QUICK) is None


@pytest.mark.parametrize("jobs", [1, 4])
def test_the_memory_of_the_machine_is_shared(jobs):
    share = Engine(jobs=jobs).memory_share()
    assert share is None if jobs == 1 else share is None or share > 0
