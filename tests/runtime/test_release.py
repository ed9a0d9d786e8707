"""The release of ONNX Runtime, as the rules see it."""

from __future__ import annotations

import importlib.metadata

import onnxruntime
import pytest

from ncgopt.runtime.release import release


@pytest.fixture(autouse=True)
def _fresh():
    release.cache_clear()
    yield
    release.cache_clear()


def test_it_is_the_one_that_is_imported():
    assert release() == tuple(int(part) for part in onnxruntime.__version__.split(".")[:2])


@pytest.mark.parametrize("found", ["unknown", "1", "1.x"])
def test_what_is_no_version_is_older_than_everything(monkeypatch, found):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: found)
    assert release() == (0, 0)
