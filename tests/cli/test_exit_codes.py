"""Every way to fail has its exit code and exactly one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from ncgopt import errors, pipeline

RUN = "from ncgopt_cli.main import run; run()"

DELIBERATE = [
    (errors.ModelInvalid, 2),
    (errors.VerificationFailed, 3),
    (errors.UnsoundRewrite, 4),
    (errors.Inconclusive, 5),
    (errors.GateNotMet, 6),
    (errors.Slower, 7),
    (errors.Usage, 64),
    (errors.InputUnreadable, 66),
    (errors.Unavailable, 69),
    (errors.CannotWrite, 73),
]


def _failing_with(error, monkeypatch):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(pipeline, "optimize", fail)


@pytest.mark.parametrize(("kind", "code"), DELIBERATE)
def test_deliberate_errors(kind, code, ncgopt, dense, monkeypatch):
    _failing_with(kind("first line\nsecond"), monkeypatch)
    outcome = ncgopt("optimize", dense)
    assert (outcome.code, outcome.out) == (code, "")
    assert outcome.err == "ncgopt: error: first line second\n"


def test_a_bug_asks_to_be_reported(ncgopt, dense, monkeypatch):
    _failing_with(ZeroDivisionError("oops"), monkeypatch)
    outcome = ncgopt("optimize", dense)
    assert outcome.code == 70
    assert outcome.err.count("\n") == 1
    assert "ZeroDivisionError: oops" in outcome.err
    assert "--debug" in outcome.err


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_the_traceback(place, ncgopt, dense, monkeypatch):
    _failing_with(ZeroDivisionError("oops"), monkeypatch)
    arguments = ["optimize", dense]
    outcome = ncgopt(*(["--debug", *arguments] if place == "before" else [*arguments, "--debug"]))
    assert outcome.code == 70
    assert "Traceback" in outcome.err


def test_interrupted(ncgopt, dense, monkeypatch):
    _failing_with(KeyboardInterrupt(), monkeypatch)
    outcome = ncgopt("optimize", dense)
    assert outcome.code == 130
    assert outcome.err.strip().endswith("ncgopt: error: interrupted")


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["optimize"],
        ["optimize", "m.onnx", "--no-such-option"],
        ["optimize", "m.onnx", "--target", "tensorrt"],
        ["optimize", "m.onnx", "--sparsity", "2"],
        ["optimize", "m.onnx", "--bind", "batch"],
        ["optimize", "m.onnx", "--bind", "batch=many"],
        ["optimize", "m.onnx", "--set", "fold-constants=1"],
        ["optimize", "m.onnx", "--passes", ","],
        ["optimize", "m.onnx", "--fail-if-slower", "3"],
        ["optimize", "m.onnx", "--fail-if-slower", "-1%"],
        ["optimize", "m.onnx", "--measure-seconds", "0"],
        ["bench", "a.onnx", "--threads", "0"],
    ],
)
def test_usage(arguments, ncgopt):
    outcome = ncgopt(*arguments)
    assert outcome.code == 64
    assert outcome.err.startswith("ncgopt: error: ")
    assert outcome.err.count("\n") == 1


def test_without_arguments_the_help_is_shown(ncgopt):
    outcome = ncgopt()
    assert outcome.code == 64
    assert "Commands:" in outcome.err


@pytest.mark.parametrize("option", ["--help", "-h", "--version"])
def test_asking_for_information_is_no_error(option, ncgopt):
    outcome = ncgopt(option)
    assert (outcome.code, outcome.err) == (0, "")
    assert "ncgopt" in outcome.out


def test_a_reader_that_leaves_is_no_reason_to_complain():
    command = f'"{sys.executable}" -c "{RUN}" passes | true'
    shell = ["bash", "-c", f"set -o pipefail; {command}"]
    if sys.platform == "win32":
        pytest.skip("no bash")
    done = subprocess.run(shell, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode in (0, 130)  # 0: everything was written before the reader left


def test_every_listed_command_exists(ncgopt):
    from ncgopt_cli.main import COMMANDS

    for name in COMMANDS:
        outcome = ncgopt(name, "--help")
        assert outcome.code == 0
        assert f"Usage: ncgopt {name}" in outcome.out


def test_every_command_file_is_listed():
    import ncgopt_cli
    from ncgopt_cli.main import COMMANDS

    folder = Path(ncgopt_cli.__file__).parent
    commands = {path.stem for path in folder.glob("*.py") if "@click.command(" in path.read_text(encoding="utf-8")}
    assert commands == set(COMMANDS)
