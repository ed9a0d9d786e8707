"""The cache of `check`: what it may depend on, and what may happen to it."""

import importlib
import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from ncgopt.lint import noted as cache
from ncgopt.settings import Settings


@pytest.fixture
def unlucky(monkeypatch):
    """Looking at a model itself is an error from now on."""
    importlib.import_module("ncgopt.lint.run")

    def forbid(*_):
        raise AssertionError("the model was looked at")

    return lambda: monkeypatch.setattr("ncgopt.lint.run._examine", forbid)


def _entries() -> list[Path]:
    return sorted(cache.folder().glob("*")) if cache.folder().exists() else []


def test_the_second_check_says_the_same_without_looking(ncgopt, dense, unlucky):
    first = ncgopt("check", dense)
    unlucky()
    second = ncgopt("check", dense)
    assert (first.code, first.out) == (second.code, second.out) == (1, first.out)


def test_the_same_content_elsewhere_is_known(ncgopt, dense, tmp_path, unlucky):
    ncgopt("check", dense)
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(dense.read_bytes())
    unlucky()
    assert ncgopt("check", copy).code == 1


def test_other_content_and_other_settings_are_looked_at(ncgopt, dense):
    assert ncgopt("check", dense).code == 1
    assert ncgopt("check", dense, "--passes", "lift-constants").code == 0
    model = onnx.load(dense)
    del model.graph.node[0]
    onnx.save(model, dense)
    assert "drop-dead-nodes" not in ncgopt("check", dense).out
    assert len(_entries()) == 3


def test_no_cache_neither_reads_nor_writes(ncgopt, dense):
    assert ncgopt("check", dense, "--no-cache").code == 1
    assert not _entries()


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", "{}", '[{"kind": 3}]', '[{"kind": "rewrite", "name": "x"}]', "\udcff"]
)
def test_a_damaged_entry_is_ignored_and_replaced(ncgopt, dense, content):
    first = ncgopt("check", dense)
    (entry,) = _entries()
    good = entry.read_bytes()
    entry.write_text(content, encoding="utf-8", errors="surrogateescape")
    assert ncgopt("check", dense).out == first.out
    assert entry.read_bytes() == good


def test_a_folder_that_cannot_be_written_to_does_no_harm(ncgopt, dense, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert ncgopt("check", dense).code == 1


def test_a_model_with_external_data_is_looked_at_each_time(ncgopt, tmp_path):
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21]> g (float[8] x) => (float[8] y) { y = Add(x, w) }'
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.arange(8, dtype=np.float32), "w"))
    path = tmp_path / "external.onnx"
    onnx.save(model, path, save_as_external_data=True, location="external.data", size_threshold=0)
    assert ncgopt("check", path).code == 0
    assert not _entries()


def test_errors_are_not_kept(ncgopt, tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"\x08")
    assert ncgopt("check", path).code == 66
    assert ncgopt("check", tmp_path / "missing.onnx").code == 66
    assert not _entries()


def test_a_file_that_changed_meanwhile_is_not_noted(ncgopt, dense, monkeypatch):
    """Its key is from before, its findings may be of either content."""
    run = importlib.import_module("ncgopt.lint.run")
    look = run._examine

    def examine(*arguments):
        found = look(*arguments)
        dense.write_bytes(dense.read_bytes() + b"\x3a\x00")  # an empty graph, merged into the one before
        return found

    monkeypatch.setattr("ncgopt.lint.run._examine", examine)
    assert ncgopt("check", dense).code == 1
    assert not _entries()


def test_the_key_knows_the_code_and_the_settings(dense, monkeypatch):
    settings = Settings()
    key = cache.key_of(dense, settings)
    assert key == cache.key_of(dense, Settings())
    assert key != cache.key_of(dense, Settings(exact=True))
    monkeypatch.setattr(cache, "_code", lambda: iter(["another version"]))
    assert key != cache.key_of(dense, settings)


def test_the_oldest_entries_go(monkeypatch):
    monkeypatch.setattr(cache, "_MOST", 8)
    for number in range(9):
        cache.note(f"{number}", {})
        path = cache.folder() / f"{number}.json"
        if path.exists():
            os.utime(path, (number, number))
    cache.note("new", {})
    kept = {entry.stem for entry in _entries()}
    assert "new" in kept
    assert len(kept) <= 8
    assert "0" not in kept
