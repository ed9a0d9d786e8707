"""Rules look again only where something changed, and everywhere once before it is said that nothing fires."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
import onnx_ir as ir
import pytest

from ncgopt import model as models
from ncgopt.rewrite import Claim, Engine, Rule, Session
from ncgopt.rewrite.session import all_nodes
from ncgopt.settings import Target


@dataclass(frozen=True)
class Found:
    x: ir.Value


class Visited(Rule[Found]):
    """Notes where it is asked, and never applies."""

    name = "visited"
    claim = Claim.EXACT
    root = ("Neg", "Abs", "Exp")
    unconditional = "only the engine is under test"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def match(self, node):
        self.seen.append(node.outputs[0].name)

    def build(self, tape, m):
        raise AssertionError


class DropAbs(Rule[Found]):
    """`Abs(x)` becomes `x`."""

    name = "drop-abs"
    claim = Claim.EXACT
    root = "Abs"
    unconditional = "only the engine is under test"

    def match(self, node):
        return Found(node.inputs[0])

    def build(self, tape, m):
        return [m.x]


class DropLastExp(DropAbs):
    """`Exp(x)` becomes `x` where no Abs is left anywhere above."""

    name = "drop-last-exp"
    root = "Exp"

    def match(self, node):
        above = node.inputs[0].producer()
        while above is not None:
            if above.op_type == "Abs":
                return None
            above = above.inputs[0].producer()
        return Found(node.inputs[0])


def chain(*operators: str) -> ir.Model:
    lines = [f"v{k + 1} = {operator}(v{k})" for k, operator in enumerate(operators)]
    text = f"g (float[2] v0) => (float[2] v{len(lines)}) {{ {' '.join(lines)} }}"
    return models.from_proto(onnx.parser.parse_model('<ir_version: 10, opset_import: ["" : 21]>' + text)).model


@pytest.fixture
def rule() -> Visited:
    return Visited()


def test_what_did_not_change_is_not_visited_again(rule: Visited):
    model = chain(*["Neg"] * 5)
    Engine([rule], Target.ONNX).run(model)
    assert len(rule.seen) == 5
    Engine([rule], Target.ONNX).run(model)
    assert len(rule.seen) == 5


def test_a_change_made_by_anybody_leads_back_to_what_is_near(rule: Visited):
    model = chain(*["Neg"] * 60)
    session = Session.of(model)
    session.thorough = False
    Engine([rule], Target.ONNX).run(model)
    rule.seen.clear()
    third = list(all_nodes(model))[2]
    session.spend("some-pass", "v3")
    third.replace_input_with(0, model.graph.inputs[0])
    Engine([rule], Target.ONNX).run(model)
    assert {"v1", "v2", "v3", "v4"} <= set(rule.seen)
    assert "v60" not in rule.seen
    assert len(set(rule.seen)) == len(rule.seen)


def test_other_rules_still_get_to_see_what_some_have_seen(rule: Visited):
    model = chain("Neg", "Neg")
    Session.of(model).thorough = False
    Engine([rule], Target.ONNX).run(model)
    second = Visited()
    second.name = "another"  # pyright: ignore[reportAttributeAccessIssue]
    Engine([rule, second], Target.ONNX).run(model)
    assert len(rule.seen) == 2
    assert len(second.seen) == 2


def test_what_a_change_far_away_makes_possible_is_found_in_the_end():
    model = chain("Exp", *["Neg"] * 40, "Exp")
    far = chain("Abs", *["Neg"] * 40, "Exp")
    rules = [DropLastExp(), DropAbs()]
    assert Engine(rules, Target.ONNX).run(model) == {"drop-last-exp": 2}
    session = Session.of(far)
    session.thorough = False
    assert Engine(list(reversed(rules)), Target.ONNX).run(far)["drop-abs"] == 1
    session.thorough = True
    Engine(list(reversed(rules)), Target.ONNX).run(far)
    assert [node.op_type for node in all_nodes(far)] == ["Neg"] * 40
