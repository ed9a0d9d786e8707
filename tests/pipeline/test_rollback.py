"""What is left out, how it is found, and what that costs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import planted
import pytest

import ncgopt
from ncgopt.pipeline.trial import Trials
from ncgopt.rewrite.avoided import Avoided, place_of
from ncgopt.settings import Settings


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """Eight outputs, at each of which `wrong-for-negatives` fires, and eight identities."""
    outputs = ", ".join(f"float[n] y{k}" for k in range(8))
    nodes = " ".join(f"i{k} = Identity(x) a{k} = Abs(i{k}) y{k} = {op}(a{k})" for k, op in enumerate(OPERATORS))
    text = f'<ir_version: 10, opset_import: ["" : 21]> g (float[n] x) => ({outputs}) {{ {nodes} }}'
    path = tmp_path / "wide.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    return path


OPERATORS = ("Exp", "Sin", "Cos", "Tanh", "Erf", "Sigmoid", "Softplus", "Atan")


def test_a_rule_at_fault_at_many_places_costs_one_bisection(wide: Path, monkeypatch):
    asked = Counter[str]()
    for name in ("judge", "shows", "run"):
        original = getattr(Trials, name)

        def counted(self, *args, original=original, name=name, **options):
            asked[name] += 1
            return original(self, *args, **options)

        monkeypatch.setattr(Trials, name, counted)
    planted.plant(monkeypatch, planted.WrongForNegatives())
    report = ncgopt.optimize(wide, Settings(skip=("share-subexpressions",)))
    assert [(r.source, r.scope) for r in report.rolled_back] == [
        ("wrong-for-negatives", "place"),
        ("wrong-for-negatives", "everywhere"),
    ]
    assert report.verification.status == "passed"
    assert Counter(r.source for r in report.rewrites) == {"eliminate-identity": 8}
    assert asked["judge"] == 3
    assert asked["shows"] <= 8


def test_only_the_place_at_fault_is_left_out(wide: Path, monkeypatch):
    class WrongOnce(planted.WrongForNegatives):
        """Wrong before a Tanh; elsewhere what comes in is doubled in a way that does not matter."""

        name = "wrong-once"

        def build(self, tape, m):
            users = {use.node.op_type for use in m.node.outputs[0].uses()}
            doubled = tape.op("Max", [m.x, tape.op("Neg", [m.x])])
            return [tape.op("Relu", [m.x])] if "Tanh" in users else [doubled]

    planted.plant(monkeypatch, WrongOnce())
    report = ncgopt.optimize(wide, Settings(skip=("share-subexpressions",)))
    assert [(r.source, r.where, r.scope) for r in report.rolled_back] == [("wrong-once", "Abs a3", "place")]
    assert sum(r.source == "wrong-once" for r in report.rewrites) == 7


@pytest.mark.parametrize("target", ["onnx", "onnxruntime"])
def test_the_same_settings_make_the_same_changes(wide: Path, target: str):
    settings = Settings(dry_run=True, verify=False, target=ncgopt.Target(target))
    first, second = (ncgopt.optimize(wide, settings).rewrites for _ in range(2))
    assert first == second != []


def test_a_place_is_a_node_whatever_its_operator():
    avoided = Avoided().at("rule", "Neg a")
    assert avoided.covers("rule", "Abs a")
    assert not avoided.covers("rule", "Neg b")
    assert not avoided.covers("other", "Neg a")
    assert avoided.everywhere("other").covers("other", "Neg a")
    assert place_of("a = b") == "a = b"
