"""Rules, passes and kernels that crash or do not come to their end: named, left out, and the rest survives."""

import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest

import ncgopt
from ncgopt.errors import OutOfResources, UnsoundRewrite
from ncgopt.pipeline import findings
from ncgopt.rewrite import Claim, Rule
from ncgopt.rules import RULES
from ncgopt.runtime.supervised import Supervised
from ncgopt.settings import Settings

TEXT = """
<ir_version: 10, opset_import: ["" : 21]>
g (float[N, 2] x) => (float[N, 2] y) <float[2] c = {1.5, -2.5}> { i = Identity(x)  k = Exp(c)  a = Add(i, k)  y = Neg(a) }
"""


@dataclass(frozen=True)
class Found:
    x: object


class LoopForever(Rule[Found]):
    """`Neg(x)`, endlessly."""

    name = "loop-forever"
    claim = Claim.EXACT
    root = "Neg"
    unconditional = "a test wants it to hang"

    def match(self, node):
        while True:
            pass

    def build(self, tape, m):
        return [m.x]


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(onnx.parser.parse_model(TEXT), path)
    return path


def plant(monkeypatch):
    monkeypatch.setattr(sys.modules["ncgopt.pipeline.catalog"], "RULES", (LoopForever(), *RULES))


def operators(path):
    return [node.op_type for node in onnx.load(path).graph.node]


def test_a_rule_that_loops_is_left_out_and_the_rest_survives(model, monkeypatch):
    plant(monkeypatch)
    start = time.monotonic()
    report = ncgopt.optimize(model, Settings(timeout=4.0))
    assert time.monotonic() - start < 60
    assert [(one.source, one.scope) for one in report.rolled_back] == [("loop-forever", "everywhere")]
    assert "out of time (4 s)" in report.rolled_back[0].reason
    assert report.verification.status == "passed"
    assert operators(report.output) == ["Add", "Neg"]


def test_strict_fails_instead(model, monkeypatch):
    plant(monkeypatch)
    with pytest.raises(UnsoundRewrite, match=r"loop-forever: out of time \(4 s\)"):
        ncgopt.optimize(model, Settings(timeout=4.0, strict=True))
    assert list(model.parent.iterdir()) == [model]


def test_check_goes_on_too(model, monkeypatch):
    plant(monkeypatch)
    report = findings(model, Settings(timeout=4.0))
    assert report.rolled_back[0].source == "loop-forever"
    assert {rewrite.source for rewrite in report.rewrites} >= {"eliminate-identity", "fold-constants"}


@pytest.fixture
def planted(tmp_path_factory, monkeypatch):
    """Entries for the supervised child, in a module that it finds because it gets our `sys.path`."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "planted_faults.py").write_text(PLANTED, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)


PLANTED = """
import ctypes, numpy, sys
from ncgopt.facts import folding
import ncgopt.pipeline
from ncgopt import job
from ncgopt.rewrite import Claim, Rule
from ncgopt.rules import RULES

def rule(act):
    class Planted(Rule):
        "Ends the process."
        name = "planted"
        claim = Claim.EXACT
        root = "Neg"
        unconditional = "a test wants it to fail"

        def match(self, node):
            act()

        def build(self, tape, m):
            return []

    sys.modules["ncgopt.pipeline.catalog"].RULES = (Planted(), *RULES)

def crash(*args):
    rule(lambda: ctypes.string_at(0))
    return job.run(*args)

def hang(*args):
    rule(lambda: ctypes.PyDLL(None).sleep(1000))  # holds the interpreter's lock: no thread of the process can act
    return job.run(*args)

def grow(*args):
    def act():
        kept = []
        while True:
            kept.append(numpy.empty(200_000_000, numpy.uint8))

    rule(act)
    return job.run(*args)

def crash_on_loading(*args):
    ctypes.string_at(0)
"""


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize(
    ("entry", "reason"), [("crash", "native crash"), ("hang", "out of time"), ("grow", "out of memory|MemoryError")]
)
def test_native_ends_are_left_out_as_well(entry, reason, model):
    said = []
    with Supervised(memory=1_000_000_000, entry=f"planted_faults:{entry}") as supervised:
        report = supervised.optimize(model, Settings(timeout=4.0), progress=said.append)
    first = report.rolled_back[0]
    assert first.source == "planted"
    assert re.search(reason, first.reason)
    assert report.verification.status == "passed"
    assert operators(report.output) == ["Add", "Neg"]
    assert "loading" in said


@pytest.mark.usefixtures("planted")
def test_strict_is_strict_about_native_ends(model):
    with (
        Supervised(entry="planted_faults:crash") as supervised,
        pytest.raises(UnsoundRewrite, match="planted: native crash"),
    ):
        supervised.optimize(model, Settings(strict=True))


@pytest.mark.usefixtures("planted")
def test_an_end_outside_of_passes_is_one_clear_error(model):
    with (
        Supervised(entry="planted_faults:crash_on_loading") as supervised,
        pytest.raises(OutOfResources, match=r"m.onnx: native crash .*; nothing was written"),
    ):
        supervised.optimize(model, Settings())
    assert list(model.parent.iterdir()) == [model]


def test_the_command_line_is_supervised(model, monkeypatch, capfd):
    """And says the same as without, report and progress included."""
    import ncgopt_cli.main

    codes = [ncgopt_cli.main.invoke(["optimize", str(model), "-v"], supervised=on) for on in (False, True)]
    assert codes == [0, 0]
    out = capfd.readouterr()
    assert out.err.count("verifying") == 2
    assert out.out.count("fold-constants") == 2
    assert sorted(path.name for path in model.parent.iterdir()) == ["m.onnx", "m.opt.onnx"]


def test_errors_come_back_with_their_report(model):
    bad = Path(model).with_name("bad.onnx")
    bad.write_bytes(b"no model")
    with Supervised() as supervised, pytest.raises(ncgopt.errors.InputUnreadable, match=r"bad.onnx is truncated"):
        supervised.optimize(bad, Settings())
