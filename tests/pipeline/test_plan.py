"""Which rules a plan holds, and when they get their turn."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import onnx
import pytest

import ncgopt
from ncgopt.docs import pages
from ncgopt.passes.apply_rules import ApplyRules
from ncgopt.pipeline import catalog
from ncgopt.pipeline.plan import make_plan
from ncgopt.rewrite import Claim, Rule
from ncgopt.rules import RULES
from ncgopt.settings import Settings, Target


@dataclass(frozen=True)
class Found:
    x: object


class DoubleNeg(Rule[Found]):
    """`Neg(x)` becomes `Neg(Neg(Neg(x)))`."""

    __module__ = "ncgopt.rules.algebra.double_neg"  # the catalog takes the subject from it
    name = "double-neg"
    claim = Claim.EXACT
    root = "Neg"
    unconditional = "only the plan is under test"
    by_request = "nobody wants it"

    def match(self, node):
        return None

    def build(self, tape, m):
        return []


class ReluOfGemm(Rule[Found]):
    """`Relu(x)` becomes `Abs(x)`, and only if nothing else can be done any more."""

    __module__ = "ncgopt.rules.linear.relu_of_gemm"
    name = "relu-of-gemm"
    claim = Claim.ROUNDS
    root = "Relu"
    unconditional = "only the plan is under test"
    targets = frozenset({Target.ONNXRUNTIME})
    closing = True

    def match(self, node):
        return Found(node.inputs[0])

    def build(self, tape, m):
        return [tape.op("Abs", [m.x])]


@pytest.fixture
def _extended(monkeypatch):
    """Both rules above, registered first of all."""
    extended = (ReluOfGemm(), DoubleNeg(), *RULES)
    monkeypatch.setattr(
        sys.modules["ncgopt.pipeline.catalog"], "RULES", extended
    )  # the package's `catalog` is a function


def rules_of(steps) -> list[str]:
    return [rule.name for step in steps if isinstance(step, ApplyRules) for rule in step.rules]


@pytest.mark.usefixtures("_extended")
def test_a_rule_by_request_runs_only_when_it_is_named():
    assert "double-neg" not in rules_of(make_plan(Settings()).steps)
    assert "double-neg" not in rules_of(make_plan(Settings(passes=("rules",))).steps)
    assert "double-neg" in rules_of(make_plan(Settings(passes=("default", "double-neg"))).steps)
    assert rules_of(make_plan(Settings(passes=("double-neg",))).steps) == ["double-neg"]


@pytest.mark.usefixtures("_extended")
def test_a_rule_by_request_says_why():
    entry = next(e for e in catalog() if e.name == "double-neg")
    assert entry.presets == ()
    assert "ask for it with `--passes default,double-neg`: nobody wants it" in pages()["rules.md"]


@pytest.mark.usefixtures("_extended")
def test_a_closing_rule_waits_and_others_go_on_beside_it():
    made = make_plan(Settings(target=Target.ONNXRUNTIME))
    assert "relu-of-gemm" not in rules_of(made.steps)
    assert "relu-of-gemm" in rules_of(made.closing)
    assert set(rules_of(made.everything)) == {*rules_of(made.steps), *rules_of(made.closing)}
    assert "relu-of-gemm" not in rules_of(make_plan(Settings(target=Target.ONNX)).everything)


@pytest.mark.usefixtures("_extended")
def test_a_closing_rule_takes_what_the_others_leave(tmp_path):
    """Registered first, it would turn the Relu before `fuse-gemm-relu` sees it, were it not for waiting."""
    text = """<ir_version: 10, opset_import: ["" : 21]>
    g (float[N, 4] x, float[4, 2] w) => (float[N, 2] y, float[N, 4] z) { t = Gemm(x, w)  y = Relu(t)  z = Relu(x) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "model.onnx")
    output = tmp_path / "out.onnx"
    settings = Settings(passes=("relu-of-gemm", "fuse-gemm-relu"), target=Target.ONNXRUNTIME, verify=False)
    ncgopt.optimize(tmp_path / "model.onnx", settings, output=output)
    assert sorted(n.op_type for n in onnx.load(output).graph.node) == ["Abs", "FusedGemm"]
