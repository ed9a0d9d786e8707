"""`ncgopt check`: selection, budgets, formats, baseline, staged files, mending."""

import json
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest


@pytest.fixture
def diverged(tmp_path):
    """A model that is optimized, and whose weight is NaN."""
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21]> g (float[8] x) => (float[8] y) { y = Add(x, w) }'
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full(8, np.nan, np.float32), "w"))
    onnx.save(model, tmp_path / "diverged.onnx")
    return tmp_path / "diverged.onnx"


def _git(folder, *arguments):
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


def test_it_says_what_to_run(ncgopt, dense):
    outcome = ncgopt("check", dense)
    assert outcome.code == 1
    assert f"{dense}: run `ncgopt optimize --in-place {dense}`: 4 -> 2 nodes" in outcome.out
    assert "[NCG001]" in outcome.out


def test_selection(ncgopt, diverged):
    assert ncgopt("check", diverged).code == 1
    assert ncgopt("check", diverged, "--ignore", "NCG2").code == 0
    assert ncgopt("check", diverged, "--ignore", "nan-weights").code == 0
    assert ncgopt("check", diverged, "--select", "NCG001,NCG1").code == 0
    assert ncgopt("check", diverged, "--select", "NCG20").code == 1
    wrong = ncgopt("check", diverged, "--select", "NCG999")
    assert wrong.code == 64
    assert "NCG999" in wrong.err


def test_notes_do_not_fail_unless_asked(ncgopt, tmp_path):
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21]> g (float[?] x, float z) => (float[?] y) { y = Neg(x) }'
    )
    onnx.save(model, tmp_path / "m.onnx")
    plain = ncgopt("check", "m.onnx")
    assert plain.code == 0
    assert "m.onnx: unused-inputs: z: no node reads it [NCG303 note]" in plain.out
    assert ncgopt("check", "m.onnx", "--fail-on", "note").code == 1


def test_budgets_from_the_settings_file(ncgopt, diverged, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.ncgopt.check]\nmax-bytes = "60"\nignore = ["NCG203"]\n')
    outcome = ncgopt("check", diverged)
    assert outcome.code == 1
    assert "max-bytes" in outcome.out
    assert "nan-weights" not in outcome.out
    (tmp_path / "pyproject.toml").write_text("[tool.ncgopt.check]\nmax-byte = 3\n")
    assert "did you mean max-bytes" in ncgopt("check", diverged).err


@pytest.mark.parametrize("format_", ["json", "sarif", "github", "junit"])
def test_formats_go_to_standard_output_or_a_file(ncgopt, diverged, tmp_path, format_):
    outcome = ncgopt("check", diverged, "--format", format_)
    assert outcome.code == 1
    assert "nan-weights" in outcome.out
    assert ncgopt("check", diverged, "--format", format_, "-o", "found").out == ""
    assert (tmp_path / "found").read_text() == outcome.out


def test_baseline(ncgopt, dense, diverged):
    missing = ncgopt("check", dense, diverged, "--baseline", "base.json")
    assert missing.code == 66
    assert "--update-baseline" in missing.err
    assert ncgopt("check", dense, diverged, "--baseline", "base.json", "--update-baseline").code == 0
    known = ncgopt("check", dense, diverged, "--baseline", "base.json")
    assert known.code == 0
    assert f"{diverged}: ok (1 known findings)" in known.out
    other = dense.with_name("other.onnx")
    other.write_bytes(dense.read_bytes())
    assert ncgopt("check", other, "--baseline", "base.json").code == 1


def test_fix(ncgopt, dense, diverged):
    model = onnx.load(dense)
    model.graph.node[2].doc_string = 'File "/home/jane/secret/net.py", line 3'
    onnx.save(model, dense)
    outcome = ncgopt("check", "--fix", dense, diverged)
    assert outcome.code == 1
    assert f"{dense}: ok" in outcome.out
    assert "nan-weights" in outcome.out
    mended = onnx.load(dense)
    assert len(mended.graph.node) == 2
    assert b"jane" not in mended.SerializeToString()
    assert b"net.py" in mended.SerializeToString()


def test_staged(ncgopt, dense, diverged, tmp_path):
    (tmp_path / ".git").rmdir()
    assert "git repository" in ncgopt("check", "--staged").err
    _git(tmp_path, "init", "--quiet")
    good = dense.with_name("good.onnx")
    assert ncgopt("optimize", dense, "-o", good).code == 0
    _git(tmp_path, "add", "good.onnx", "dense.onnx")
    good.write_bytes(diverged.read_bytes())  # not staged: what counts is the index
    outcome = ncgopt("check", "--staged")
    assert outcome.code == 1
    assert "good.onnx: ok" in outcome.out
    assert "dense.onnx: rewrite" in outcome.out
    assert "diverged" not in outcome.out
    assert ncgopt("check", "--staged", "good.onnx").code == 0
    _git(tmp_path, "commit", "--quiet", "--message", "Everything")
    assert ncgopt("check", "--staged").code == 0


def test_staged_with_external_data(ncgopt, diverged, tmp_path):
    (tmp_path / ".git").rmdir()
    (tmp_path / "a").mkdir()
    model = onnx.load(diverged)
    onnx.save(model, tmp_path / "a" / "e.onnx", save_as_external_data=True, location="w.data", size_threshold=0)
    _git(tmp_path, "init", "--quiet")
    _git(tmp_path, "add", "a")
    (tmp_path / "a" / "w.data").write_bytes(bytes(32))  # zeros in the work tree, NaN in the index
    assert "a/e.onnx: nan-weights: w: 8 of its elements are NaN" in ncgopt("check", "--staged").out
    _git(tmp_path, "rm", "--quiet", "--force", "--cached", "a/w.data")
    assert "nan-weights" not in ncgopt("check", "--staged").out


def test_staged_by_any_way_to_the_file(ncgopt, dense, tmp_path, monkeypatch):
    (tmp_path / ".git").rmdir()
    (tmp_path / "a b").mkdir()
    dense.rename(tmp_path / "a b" / "c d.onnx")
    _git(tmp_path, "init", "--quiet")
    _git(tmp_path, "add", "a b")
    (tmp_path / "link").symlink_to("a b")
    monkeypatch.chdir(tmp_path / "a b")
    for way in ("c d.onnx", "../a b/c d.onnx", tmp_path / "link" / "c d.onnx"):
        outcome = ncgopt("check", "--staged", way)
        assert outcome.code == 1, way
        assert "run `ncgopt optimize --in-place 'c d.onnx'`" in outcome.out


@pytest.mark.parametrize("location", ["a\0b", "x" * 200_000, ":(bad)x", "m.onnx/x", "..", "\u00ff"])
def test_staged_with_a_location_that_is_no_path(ncgopt, dense, tmp_path, location):
    (tmp_path / ".git").rmdir()
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21]> g (float[1] x) => (float[1] y) { y = Add(x, w) }'
    )
    weight = model.graph.initializer.add(name="w", data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    _git(tmp_path, "init", "--quiet")
    _git(tmp_path, "add", "m.onnx", dense)
    outcome = ncgopt("check", "--staged")
    assert outcome.code in (2, 66)
    assert len(outcome.err.splitlines()) == 1
    assert "m.onnx" in outcome.err
    assert "dense.onnx: rewrite" in outcome.out  # the others are looked at all the same


@pytest.mark.parametrize("option", ["--output", "--baseline"])
def test_no_model_is_overwritten(ncgopt, dense, tmp_path, option):
    (tmp_path / "link").symlink_to(dense)
    content = dense.read_bytes()
    update = ("--update-baseline",) if option == "--baseline" else ()
    for target in (dense, "link", "other.onnx"):
        outcome = ncgopt("check", dense, option, target, *update)
        assert outcome.code == 64
        assert "would overwrite a model" in outcome.err
    assert dense.read_bytes() == content
    assert not (tmp_path / "other.onnx").exists()


@pytest.mark.parametrize("option", ["--output", "--baseline"])
@pytest.mark.parametrize("target", ["dense.json/x", "none/x", ".", "n" * 300])
def test_what_cannot_be_written_is_one_line(ncgopt, dense, tmp_path, option, target):
    (tmp_path / "dense.json").touch()
    outcome = ncgopt("check", dense, option, target, *(("--update-baseline",) if option == "--baseline" else ()))
    assert outcome.code == 73
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
@pytest.mark.parametrize("format_", ["text", "json", "sarif", "github", "junit"])
def test_a_name_that_is_no_text(ncgopt, dense, tmp_path, format_):
    odd = tmp_path / os.fsdecode(b"\xff.onnx")
    dense.rename(odd)
    outcome = ncgopt("check", odd, "--format", format_, "-o", "out")
    assert (outcome.code, outcome.err) == (1, "")
    assert "eliminate" in (tmp_path / "out").read_text(encoding="utf-8")


def test_usage(ncgopt, dense):
    assert ncgopt("check").code == 64
    assert ncgopt("check", "--staged", "--fix").code == 64
    assert ncgopt("check", dense, "--update-baseline").code == 64
    assert "NCG203" in ncgopt("check", "--list").out


def test_several_processes_say_the_same(ncgopt, dense, diverged, tmp_path):
    names = [f"{number}.onnx" for number in range(8)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes((dense if number % 2 else diverged).read_bytes() if number else b"\x08")
    options = ("--no-cache", "--select", "NCG2", "--format", "json")
    alone = ncgopt("check", *options, "--jobs", "1", *names)
    together = ncgopt("check", *options, "--jobs", "2", *names)
    assert alone.code == together.code == 66
    assert json.loads(alone.out) == json.loads(together.out)
