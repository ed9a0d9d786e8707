"""Models at URLs: fsspec's memory and local file systems stand for stores."""

import sys

import numpy as np
import onnx
import pytest
from fleet.conftest import save_model

from ncgopt.errors import InputUnreadable, Unavailable, Usage
from ncgopt.fleet import Source, beside, find, into_folder, optimize_all, urls
from ncgopt.settings import Settings

QUICK = Settings(verify=False)


def run(source, out):
    pairs = into_folder(find([source], results_too=True), out)
    return sorted(optimize_all(pairs, QUICK, folder=out, supervised=False), key=lambda done: done.index)


@pytest.fixture
def store():
    fsspec = pytest.importorskip("fsspec", reason="URLs need the extra `urls`")
    memory = fsspec.filesystem("memory")
    yield memory
    memory.store.clear()


def upload(store, folder):
    for path in folder.rglob("*.*"):
        store.pipe_file(f"/in/{path.relative_to(folder).as_posix()}", path.read_bytes())


def test_there_and_back(store, models):
    upload(store, models)
    found = run("memory://in", "memory://out")
    assert [type(done.error) for done in found] == [type(None), type(None), InputUnreadable, type(None)]
    assert "memory://" in str(found[2].error)
    here = run(str(models), str(models.parent / "here"))
    assert [done.error is None for done in here] == [True, True, False, True]
    for name in ("a.onnx", "b.onnx", "deep/c.onnx"):
        assert store.cat_file(f"/out/{name}") == (models.parent / "here" / name).read_bytes()
    assert not [path for path in store.find("/out") if path.endswith(".tmp")]
    assert [done.before for done in run("memory://in", "memory://out")] == [True, True, False, True]
    assert found[0].report.files[0].path == "memory://out/a.onnx"


def test_external_data_come_along(store, tmp_path):
    path = save_model(tmp_path / "in" / "m.onnx")
    model = onnx.load(path)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.ones((4, 4096), np.float32), "w"))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 4096
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    upload(store, path.parent)
    (found,) = run("memory://in/m.onnx", "memory://out")
    assert found.error is None
    assert sorted(store.find("/out")) == ["/out/.ncgopt/m.onnx.json", "/out/m.onnx", "/out/m.onnx.data"]


def test_what_is_not_there(store):
    store.makedirs("/empty", exist_ok=True)
    with pytest.raises(InputUnreadable, match="is a directory, and no file"):
        find(["memory://empty"], results_too=True)
    (found,) = run("memory://none/m.onnx", "memory://out")
    assert isinstance(found.error, InputUnreadable)


def test_without_a_driver(monkeypatch):
    with pytest.raises(Usage, match="say with -o"):
        beside([Source("s3://bucket/a.onnx", "a.onnx")], in_place=False)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(Unavailable, match=r"ncgopt\[urls\]"):
        urls.read_text("s3://bucket/a.onnx")
