"""`ncgopt optimize`: options become settings, checks come first, and what happened is told."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ncgopt import errors, pipeline
from ncgopt.report import Refusal, Report
from ncgopt.settings import Settings, Target, VerifySettings


@pytest.fixture
def asked(monkeypatch):
    """What the pipeline would have been asked for, instead of asking it."""
    calls = []

    def record(model, settings, *, output=None, in_place=False, progress=None):
        calls.append((model, settings, output, in_place))
        return Report(str(model), "0", output=str(output) if output else None, status="written")

    monkeypatch.setattr(pipeline, "optimize", record)
    return calls


def test_without_options_everything_is_default(ncgopt, dense, asked):
    assert ncgopt("optimize", dense).code == 0
    assert asked == [(dense, Settings(), None, False)]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--preset", "size"], Settings(preset="size")),
        (["--passes", "fold-constants, rules"], Settings(passes=("fold-constants", "rules"))),
        (["--skip", "fuse-*", "--skip", "x"], Settings(skip=("fuse-*", "x"))),
        (["--target", "onnxruntime"], Settings(target=Target.ONNXRUNTIME)),
        (["--exact"], Settings(exact=True)),
        (["--keep", "w*"], Settings(keep=("w*",))),
        (["--bind", "batch=1", "--bind", "a + b=7"], Settings(bind={"batch": 1, "a + b": 7})),
        (["--max-growth", "100"], Settings(options={"fold-constants": {"max_growth": 100}})),
        (
            ["--sparsity", "0.5", "--scope", "global", "--exclude", "head*"],
            Settings(options={"prune-weights": {"sparsity": 0.5, "scope": "global", "exclude": ("head*",)}}),
        ),
        (
            ["--set", "a.some-option=3", "--set", "a.text=plain", "--set", 'b.list=["x"]', "--set", "b.on=true"],
            Settings(options={"a": {"some_option": 3, "text": "plain"}, "b": {"list": ["x"], "on": True}}),
        ),
        (["--max-growth", "1", "--set", "fold-constants.max-growth=2"],
         Settings(options={"fold-constants": {"max_growth": 2}})),
        (["--no-verify"], Settings(verify=False)),
        (["--allow-unverified"], Settings(allow_unverified=True)),
        (["--external-data", "always"], Settings(external_data="always")),
        (["--trust-links"], Settings(trust_links=True)),
        (["--dry-run"], Settings(dry_run=True)),
        (
            ["--memory-limit", "2GB"],
            Settings(memory_limit=2_000_000_000, verification=VerifySettings(memory_limit=2_000_000_000)),
        ),
        (
            ["--seed", "3", "--timeout", "9", "--provider", "A", "--provider", "B", "--verify-bind", "batch=4"],
            Settings(timeout=9, verification=VerifySettings(seed=3, timeout=9, providers=("A", "B"), bind={"batch": 4})),
        ),
    ],
)  # fmt: skip
def test_options_become_settings(arguments, wanted, ncgopt, dense, asked):
    assert ncgopt("optimize", dense, *arguments).code == 0
    assert asked[0][1] == wanted


def test_feeds_become_settings(ncgopt, dense, asked, tmp_path):
    feeds = tmp_path / "feeds.npz"
    feeds.touch()
    assert ncgopt("optimize", dense, "--feeds", feeds).code == 0
    assert asked[0][1].verification.feeds == (feeds,)


def test_command_line_wins_over_the_file(ncgopt, dense, asked, tmp_path):
    (tmp_path / "ncgopt.toml").write_text(
        'preset = "size"\nexact = true\nskip = ["a"]\n[bind]\nbatch = 1\nlength = 2\n'
        "[options.p]\nx = 1\ny = 2\n[verification]\nseed = 5\n"
    )
    assert ncgopt("optimize", dense, "--no-exact", "--skip", "b", "--bind", "batch=9", "--set", "p.x=7").code == 0
    assert asked[0][1] == Settings(
        preset="size",
        exact=False,
        skip=("a", "b"),
        bind={"batch": 9, "length": 2},
        options={"p": {"x": 7, "y": 2}},
        verification=VerifySettings(seed=5),
    )


def test_named_settings_file(ncgopt, dense, asked, tmp_path):
    (tmp_path / "other.toml").write_text('preset = "none"\n')
    assert ncgopt("optimize", dense, "--config", tmp_path / "other.toml").code == 0
    assert asked[0][1].preset == "none"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["-o", "dense.onnx"], 64),
        (["-o", "./sub/../dense.onnx"], 64),
        (["-o", "a.onnx", "--in-place"], 64),
        (["other.onnx", "-o", "a.onnx"], 64),
        (["--report", "dense.onnx"], 64),
        (["-o", "a.onnx", "--report", "a.onnx"], 64),
        (["-o", "nowhere/a.onnx"], 73),
        (["-o", "sub"], 73),
        (["--report", "nowhere/r.json"], 73),
        (["sub"], 66),
    ],
)
def test_what_cannot_end_well_is_refused_before_it_begins(arguments, code, ncgopt, dense, asked, tmp_path):
    (tmp_path / "sub").mkdir()
    outcome = ncgopt("optimize", dense, *arguments)
    assert outcome.code == code
    assert outcome.err.count("\n") == 1
    assert asked == []


def test_a_link_to_the_input_is_the_input(ncgopt, dense, asked, tmp_path):
    (tmp_path / "link.onnx").symlink_to(dense)
    assert ncgopt("optimize", dense, "-o", tmp_path / "link.onnx").code == 64
    assert asked == []


def _failing(monkeypatch, bad: str, report: Report | None):
    def optimize(model, settings, **options):
        if Path(model).name == bad:
            error = errors.VerificationFailed(f"{model}: differs")
            error.report = report
            raise error
        return Report(str(model), "0", status="written", output="out")

    monkeypatch.setattr(pipeline, "optimize", optimize)


def test_one_model_that_fails_does_not_stop_the_others(ncgopt, monkeypatch):
    _failing(monkeypatch, "b.onnx", None)
    outcome = ncgopt("optimize", "a.onnx", "b.onnx", "c.onnx", "--in-place")
    assert outcome.code == 3
    assert "a.onnx" in outcome.out
    assert "c.onnx" in outcome.out
    assert outcome.err == "ncgopt: error: b.onnx: differs\n"


def test_the_report_is_written_when_the_run_fails(ncgopt, monkeypatch, tmp_path):
    _failing(monkeypatch, "b.onnx", Report("b.onnx", "0", culprit="fuse-things"))
    outcome = ncgopt("optimize", "b.onnx", "--report", tmp_path / "r.json")
    assert outcome.code == 3
    assert json.loads((tmp_path / "r.json").read_text())["culprit"] == "fuse-things"


def test_a_report_on_stdout_is_alone_there(ncgopt, dense):
    outcome = ncgopt("optimize", dense, "--report", "-")
    assert outcome.code == 0
    report = json.loads(outcome.out)
    assert (report["schema_version"], report["status"]) == (1, "written")
    assert "verified" in outcome.err


def test_reports_of_several_models_are_a_list(ncgopt, asked):
    outcome = ncgopt("optimize", "a.onnx", "b.onnx", "--in-place", "--report", "-", "-q")
    assert [report["model"] for report in json.loads(outcome.out)] == ["a.onnx", "b.onnx"]
    assert outcome.err == ""


def test_what_happened_is_told(ncgopt, dense, tmp_path):
    outcome = ncgopt("optimize", dense)
    assert outcome.code == 0
    assert outcome.err == ""
    words = [line.split() for line in outcome.out.splitlines()]
    assert ["nodes", "4", "->", "2"] in words
    assert ["verified", "passed"] in words
    assert ["written", str(tmp_path / "dense.opt.onnx")] in words
    assert any(line[:1] == ["eliminate-identity"] for line in words)


def test_refusals_are_explained_on_demand(ncgopt, monkeypatch):
    report = Report("a.onnx", "0", refusals=[Refusal("fuse-things", "sole-user", 7, "node at_the_end")])
    monkeypatch.setattr(pipeline, "optimize", lambda model, settings, **options: report)
    assert "sole-user" not in ncgopt("optimize", "a.onnx").out
    shown = ncgopt("optimize", "a.onnx", "--explain-refusals").out
    assert "fuse-things  sole-user      7  node at_the_end" in shown


def test_quiet_says_nothing(ncgopt, dense, tmp_path):
    outcome = ncgopt("optimize", dense, "-q", "-o", tmp_path / "small.onnx")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    assert (tmp_path / "small.onnx").exists()


def test_verbose_reports_steps_as_lines(ncgopt, dense):
    assert "verifying" in ncgopt("optimize", dense, "-v").err.splitlines()


def test_dry_run_writes_nothing(ncgopt, dense, tmp_path):
    before = sorted(tmp_path.iterdir())
    outcome = ncgopt("optimize", dense, "--dry-run")
    assert outcome.code == 0
    assert "nothing was written" in outcome.out
    assert sorted(tmp_path.iterdir()) == before


def test_in_place_and_as_a_process_of_its_own(ncgopt, dense, tmp_path):
    before = dense.read_bytes()
    command = [sys.executable, "-c", "from ncgopt_cli.main import run; run()", "optimize", "--in-place", str(dense)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert dense.read_bytes() != before
    assert ncgopt("check", dense).code == 0
