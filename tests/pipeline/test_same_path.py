"""The same path again and again: the same bytes each time, and a run that fails leaves everything as it was."""

from __future__ import annotations

import errno
import hashlib
import importlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from ncgopt import pipeline
from ncgopt.errors import CannotWrite, UnsoundRewrite, VerificationFailed
from ncgopt.model import files
from ncgopt.rewrite import Claim, Rule
from ncgopt.rules import RULES
from ncgopt.runtime import Worker
from ncgopt.settings import Settings

TEXT = """
<ir_version: 10, opset_import: ["" : 21]>
g (float[n, 64] x) => (float[n, 64] y) <float[64] b = {1}> {
    i = Identity(x)  h = MatMul(i, w)  s = Add(h, b)  m = Neg(s)  y = Relu(m)
}
"""


@dataclass(frozen=True)
class Found:
    x: object
    out: object


class BreakNeg(Rule[Found]):
    """`Neg(x)` becomes `Abs(x)`, which is wrong."""

    name = "break-neg"
    claim = Claim.EXACT
    root = "Neg"
    unconditional = "a test wants it wrong"

    def match(self, node):
        return Found(node.inputs[0], node.outputs[0])

    def build(self, tape, m):
        return [tape.op("Abs", [m.x])]


@pytest.fixture(scope="module")
def optimize():
    """All runs in one child process, which is most of their time."""
    with Worker() as worker:
        yield lambda model, settings=Settings(), **where: pipeline.optimize(model, settings, worker=worker, **where)  # noqa: B008


@pytest.fixture(params=["embedded", "external"])
def model(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    proto = onnx.parser.parse_model(TEXT.replace("<float[64] b = {1}>", f"<float[64] b = {{{','.join(['1'] * 64)}}}>"))
    weight = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    proto.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    path = tmp_path / "model.onnx"
    outside = {"save_as_external_data": True, "location": "model.onnx.data", "size_threshold": 1024}
    onnx.save(proto, path, **(outside if request.param == "external" else {}))
    return path


def content(folder: Path) -> dict[str, tuple[int, str]]:
    return {
        path.name: (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) for path in folder.iterdir()
    }


def with_rule(monkeypatch: pytest.MonkeyPatch, rule: Rule) -> None:
    monkeypatch.setattr(importlib.import_module("ncgopt.pipeline.catalog"), "RULES", (*RULES, rule))


def fails_to_verify(optimize, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        with_rule(patch, BreakNeg())
        with pytest.raises((VerificationFailed, UnsoundRewrite)):
            optimize(model, Settings(strict=True), in_place=True)


def fails_to_write(optimize, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full when the files are there, but before they have their names."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(CannotWrite, match="No space left"):
            optimize(model, in_place=True)


@pytest.mark.parametrize("fail", [fails_to_verify, fails_to_write])
def test_three_runs_on_one_path_with_a_failed_one_in_between(optimize, model: Path, monkeypatch, fail):
    untouched = content(model.parent)
    fail(optimize, model, monkeypatch)
    assert content(model.parent) == untouched
    optimize(model, in_place=True)
    first = content(model.parent)
    assert first.keys() == untouched.keys()
    assert first["model.onnx"] != untouched["model.onnx"]
    for _ in range(2):
        fail(optimize, model, monkeypatch)
        assert content(model.parent) == first
        optimize(model, in_place=True)
        assert content(model.parent) == first


def test_three_runs_to_one_output(optimize, model: Path, monkeypatch, tmp_path: Path):
    folder = tmp_path / "out"
    folder.mkdir()
    seen = []
    for _ in range(3):
        optimize(model, output=folder / "out.onnx")
        seen.append(content(folder))
        with monkeypatch.context() as patch:
            with_rule(patch, BreakNeg())
            with pytest.raises((VerificationFailed, UnsoundRewrite)):
                optimize(model, Settings(strict=True), output=folder / "out.onnx")
        assert content(folder) == seen[-1]
    assert seen[0] == seen[1] == seen[2]
