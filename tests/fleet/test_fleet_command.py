"""`ncgopt optimize` with several models."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from fleet.conftest import save_model

from ncgopt_cli.main import invoke

RUN = [sys.executable, "-c", "from ncgopt_cli.main import run; run()"]


def test_a_table_an_exit_code_and_reports(models, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = tmp_path / "r.json"
    assert invoke(["optimize", "models", "-o", "out", "--report", str(report), "--no-verify"]) == 66
    said = capfd.readouterr()
    assert said.err.count("\n") == 1
    assert "bad.onnx" in said.err
    rows = [line.split() for line in said.out.splitlines()]
    assert [row[0] for row in rows[1:5]] == [
        f"models/{name}" for name in ("a.onnx", "b.onnx", "bad.onnx", "deep/c.onnx")
    ]
    assert rows[1][1:5] == ["written", "3", "->", "2"]
    assert said.out.splitlines()[-1] == "4 models: 3 written, 1 failed"
    reports = json.loads(report.read_text())
    assert [one["status"] for one in reports] == ["written", "written", "failed", "written"]
    assert "truncated" in reports[2]["notes"][0]

    assert invoke(["optimize", "models", "-o", "out", "--report", str(report), "--no-verify"]) == 66
    assert capfd.readouterr().out.splitlines()[-1] == "4 models: 3 done before, 1 failed"
    assert json.loads(report.read_text())[0]["after"]["nodes"] == 2
    assert invoke(["optimize", "models", "-o", "out", "--again", "--no-verify", "-q"]) == 66
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.onnx", "b.onnx", "-o", "c.onnx"], "is one file"),
        (["a.onnx", "b.onnx", "-o", "out", "--in-place"], "exclude each other"),
        (["a.onnx", "--cluster", "tcp://127.0.0.1:1"], "needs --engine"),
        (["a.onnx", "b.onnx", "--again"], "needs a folder"),
        (["a.onnx", "-o", "out/", "--report", "out/a.onnx"], "does not exist"),
        ([".", "-o", "."], "is the input itself"),
        (["a.onnx", "-o", "./"], "is the input itself"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, says, models, capfd, monkeypatch):
    monkeypatch.chdir(models)
    assert invoke(["optimize", *arguments]) in (64, 73)
    said = capfd.readouterr()
    assert says in said.err
    assert said.err.count("\n") == 1


def test_a_dry_run_needs_no_folder_of_results_and_makes_none(models, tmp_path, capfd):
    (models / "bad.onnx").unlink()
    before = {path: path.read_bytes() for path in models.rglob("*.onnx")}
    assert invoke(["optimize", str(models), "-o", str(tmp_path / "out"), "--dry-run", "--no-verify"]) == 0
    assert capfd.readouterr().err == ""
    assert not (tmp_path / "out").exists()
    assert {path: path.read_bytes() for path in models.rglob("*.onnx")} == before


@pytest.mark.parametrize("engine", ["ray", "dask"])
def test_an_engine_that_is_not_installed(engine, models, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, {"ray": "ray", "dask": "distributed"}[engine], None)
    assert invoke(["optimize", str(models), "-o", str(models.parent / "out"), "--engine", engine]) == 69
    assert f"ncgopt[{engine}]" in capfd.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_ctrl_c_ends_everything_and_leaves_nothing_half_written(tmp_path):
    for number in range(100):  # so many that the signal comes before the last one
        save_model(tmp_path / "in" / f"{number}.onnx")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [*RUN, "optimize", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--jobs", "2", "--no-verify"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and theirs
    child = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, env={**os.environ, "TMPDIR": str(scratch)}
    )
    signal.signal(signal.SIGINT, before)
    while not list((tmp_path / "out").glob("*.onnx")):
        time.sleep(0.02)
        assert child.poll() is None
    os.killpg(child.pid, signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert said.strip() == "ncgopt: error: interrupted"
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)
    assert list(scratch.iterdir()) == []
    assert not list((tmp_path / "out").rglob("*.tmp"))
