"""What the engine guarantees whatever a rule does: names, outputs, metadata, protection, an end."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
import onnx_ir as ir
import pytest

from ncgopt import facts
from ncgopt import model as models
from ncgopt.errors import UnsoundRewrite
from ncgopt.passes.apply_rules import ApplyRules
from ncgopt.passes.base import Pass
from ncgopt.rewrite import Claim, Engine, Requires, Rule, Session
from ncgopt.rewrite.session import all_nodes
from ncgopt.settings import Target


@dataclass(frozen=True)
class Found:
    x: ir.Value


class Bypass(Rule[Found]):
    """`Abs(x)` becomes `x`: wrong, but short."""

    name = "bypass"
    claim = Claim.EXACT
    root = "Abs"
    unconditional = "only the engine is under test"

    def match(self, node):
        return Found(node.inputs[0])

    def build(self, tape, m):
        return [m.x]


class Swap(Bypass):
    """`Abs(x)` becomes `Neg(x + 1)`, with a constant."""

    name = "swap"

    def build(self, tape, m):
        import numpy as np

        return [tape.op("Neg", [tape.op("Add", [m.x, tape.constant(np.array(1, np.float32), name="one")])])]


class Back(Bypass):
    """`Neg(x)` becomes `Abs(x)`: with `Forth`, an endless game."""

    name = "back"
    root = "Neg"

    def build(self, tape, m):
        return [tape.op("Abs", [m.x])]


class Forth(Back):
    """`Abs(x)` becomes `Neg(x)`."""

    name = "forth"
    root = "Abs"

    def build(self, tape, m):
        return [tape.op("Neg", [m.x])]


def load(text: str) -> ir.Model:
    return models.from_proto(
        onnx.parser.parse_model('<ir_version: 10, opset_import: ["" : 21, "local" : 1]>' + text)
    ).model


def apply(model: ir.Model, *rules: Rule, target: Target = Target.ONNX) -> onnx.ModelProto:
    ApplyRules(tuple(rules), target)(model)
    return models.to_proto(model)


def operators(graph: onnx.GraphProto) -> list[str]:
    return [node.op_type for node in graph.node]


def test_an_output_that_would_be_an_input_gets_an_identity():
    proto = apply(load("g (float[2] x) => (float[2] y) { y = Abs(x) }"), Bypass())
    assert operators(proto.graph) == ["Identity"]
    assert proto.graph.output[0].name == "y"


def test_an_inner_value_takes_the_name_of_the_output():
    proto = apply(load("g (float[2] x) => (float[2] y) { a = Exp(x)  b = Neg(a)  y = Abs(b) }"), Bypass())
    assert operators(proto.graph) == ["Exp", "Neg"]
    assert proto.graph.node[1].output[0] == "y"


def test_two_outputs_cannot_be_one_value():
    proto = apply(load("g (float[2] x) => (float[2] y, float[2] z) { a = Exp(x)  y = Abs(a)  z = Abs(a) }"), Bypass())
    assert sorted(operators(proto.graph)) == ["Exp", "Identity"]
    assert [o.name for o in proto.graph.output] == ["y", "z"]
    onnx.checker.check_model(proto, full_check=True)


def test_new_names_are_new_in_every_scope():
    model = load(
        """g (bool c, float[2] x, float one) => (float[2] y) {
        y = If (c) <
          then_branch = t () => (float[2] u) { u = Abs(x) },
          else_branch = e () => (float[2] v) <float one_1 = {3}> { w = Abs(x)  v = Mul(w, one_1) }
        > }"""
    )
    proto = apply(model, Swap())
    names = [i.name for i in proto.graph.input]
    for branch in proto.graph.node[0].attribute:
        names += [t.name for t in branch.g.initializer] + [o for n in branch.g.node for o in n.output]
    assert len(set(names)) == len(names)
    onnx.checker.check_model(proto, full_check=True)


def test_constants_in_a_local_function_are_nodes():
    model = load(
        """g (float[2] x) => (float[2] y) { y = local.f(x) }
        <domain: "local", opset_import: ["" : 21]> f (a) => (b) { b = Abs(a) }"""
    )
    proto = apply(model, Swap())
    assert [n.op_type for n in proto.functions[0].node] == ["Constant", "Add", "Neg"]
    onnx.checker.check_model(proto, full_check=True)


def test_metadata_and_name_of_the_root_live_on():
    model = load("g (float[2] x) => (float[2] y) { y = Abs(x) }")
    node = model.graph[0]
    node.name = "encoder/abs"
    node.metadata_props["source"] = "line 7"
    proto = apply(model, Swap())
    assert proto.graph.node[-1].name == "encoder/abs"
    assert all(n.metadata_props[0].value == "line 7" for n in proto.graph.node)


def test_protected_nodes_stay():
    model = load("g (float[2] x) => (float[2] y) { a = Abs(x)  y = Abs(a) }")
    facts.keep(model.graph[0])
    proto = apply(model, Bypass())
    assert operators(proto.graph) == ["Abs", "Identity"]
    assert proto.graph.node[0].output[0] == "a"


def test_what_a_removed_branch_used_is_no_longer_used():
    model = load(
        """g (bool c, float[2] x) => (float[2] y) {
        a = Exp(x)
        b = If (c) <
          then_branch = t () => (float[2] u) { u = Neg(a) },
          else_branch = e () => (float[2] v) { v = Exp(a) }
        >
        d = Mul(b, x)
        y = Abs(x) }"""
    )

    class Drop(Bypass):
        """`Mul(b, x)` becomes `x`."""

        name = "drop"
        root = "Mul"

        def match(self, node):
            return Found(node.inputs[1])

    assert operators(apply(model, Drop()).graph) == ["Abs"]


def test_rules_that_undo_each_other_end_in_an_error():
    model = load("g (float[2] x) => (float[2] y) { y = Abs(x) }")
    with pytest.raises(UnsoundRewrite, match="undo each other"):
        Engine([Back(), Forth()], Target.ONNX).run(model)


def test_what_becomes_possible_far_away_is_done_too():
    class OnceAbsIsGone(Bypass):
        """`Exp(x)` becomes `x`, but only where no Abs is left."""

        name = "once-abs-is-gone"
        root = "Exp"

        def match(self, node):
            return None if any(n.op_type == "Abs" for n in node.graph) else Found(node.inputs[0])

    model = load(
        "g (float[2] x, float[2] z) => (float[2] y, float[2] w) { a = Exp(x)  y = Neg(a)  b = Abs(z)  w = Neg(b) }"
    )
    rules = ApplyRules((OnceAbsIsGone(), Bypass()))
    rules(model)
    assert rules.fired == {"bypass": 1, "once-abs-is-gone": 1}


def test_the_budget_ends_the_work():
    model = load("g (float[2] x) => (float[2] y) { a = Abs(x)  b = Abs(a)  y = Abs(b) }")
    session = Session(model, limit=2)
    assert Engine([Bypass()], Target.ONNX).run(model).total() == 2
    assert [r.source for r in session.rewrites] == ["bypass", "bypass"]
    assert sum(n.op_type == "Abs" for n in all_nodes(model)) == 1


def test_a_rule_of_another_target_is_left_out():
    class ForOrt(Bypass):
        """Only for ONNX Runtime."""

        name = "for-ort"
        targets = frozenset({Target.ONNXRUNTIME})

    text = "g (float[2] x) => (float[2] y) { y = Abs(x) }"
    assert operators(apply(load(text), ForOrt()).graph) == ["Abs"]
    assert operators(apply(load(text), ForOrt(), target=Target.ONNXRUNTIME).graph) == ["Identity"]


def test_an_operator_of_a_new_domain_is_imported():
    class Gelu(Bypass):
        """`Abs(x)` becomes a contrib operator."""

        name = "gelu"

        def build(self, tape, m):
            return [tape.op("Gelu", [m.x], domain="com.microsoft")]

    proto = apply(load("g (float[2] x) => (float[2] y) { y = Abs(x) }"), Gelu())
    assert {o.domain: o.version for o in proto.opset_import}["com.microsoft"] == 1


@pytest.mark.parametrize(
    ("attributes", "lack"),
    [
        ({"name": ""}, "name"),
        ({"unconditional": ""}, "requires"),
        ({"__doc__": None}, "docstring"),
        ({"requires": (Requires("a", "b", bool), Requires("a", "b", bool))}, "distinct"),
    ],
)
def test_a_rule_that_says_too_little_cannot_be_defined(attributes: dict, lack: str):
    with pytest.raises(TypeError, match=lack):
        type("Nameless", (Bypass,), {"__doc__": "Something.", "name": "nameless", **attributes})


class _Lying(Pass):
    """Reports a change it did not make."""

    name = "lying"
    claim = Claim.EXACT

    def run(self, model, session):
        return 1


class _Silent(Pass):
    """Makes a change it does not report."""

    name = "silent"
    claim = Claim.EXACT

    def run(self, model, session):
        model.graph[0].op_type = "Exp"
        return 0


class _Renaming(Pass):
    """Renames an output."""

    name = "renaming"
    claim = Claim.EXACT

    def run(self, model, session):
        model.graph.outputs[0].name = "other"
        return 1


class _Disordered(Pass):
    """Puts a user before what it uses."""

    name = "disordered"
    claim = Claim.EXACT

    def run(self, model, session):
        first, second = model.graph
        model.graph.remove(first)
        model.graph.insert_after(second, first)
        return 1


@pytest.mark.parametrize("lie", [_Lying, _Silent, _Renaming, _Disordered])
def test_a_pass_cannot_hide_what_it_did(lie: type[Pass]):
    model = load("g (float[2] x) => (float[2] y) { a = Abs(x)  y = Neg(a) }")
    with pytest.raises(UnsoundRewrite, match=lie.name):
        lie()(model)
