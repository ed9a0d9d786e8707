"""Every section of every case file: verdict, golden, semantics, stability, and whether each guard matters."""

from __future__ import annotations

import dataclasses

import onnx
import pytest
from canonical import canonical
from case_file import Case, all_cases
from semantics import differences

from ncgopt import model as models
from ncgopt.errors import UnsoundRewrite
from ncgopt.passes import PASSES
from ncgopt.passes.apply_rules import ApplyRules
from ncgopt.passes.base import Pass
from ncgopt.rewrite import Claim, Engine, Requires, Rule, Session
from ncgopt.rules import RULES
from ncgopt.runtime import Worker
from ncgopt.settings import Target

CASES = all_cases()
RULE_BY_NAME = {rule.name: rule for rule in RULES}
PASS_BY_NAME = {cls.name: cls for cls in PASSES}


@pytest.fixture(scope="module")
def worker():
    with Worker() as shared:
        yield shared


def subject_of(case: Case) -> Rule | type[Pass]:
    return RULE_BY_NAME.get(case.subject) or PASS_BY_NAME[case.subject]


def claim_of(case: Case) -> Claim:
    return subject_of(case).claim


def parse(text: str) -> onnx.ModelProto:
    model = onnx.parser.parse_model(text)
    if all(o.domain == "" for o in model.opset_import):
        onnx.checker.check_model(model, full_check=True)
    return model


def apply(case: Case, proto: onnx.ModelProto, worker: Worker, without: frozenset = frozenset()):
    """The model after the rule or pass, how often it changed something, and the session's refusals."""
    model = models.from_proto(proto).model
    session = Session(model, worker=worker)
    subject = subject_of(case)
    if isinstance(subject, Rule):
        target = Target(case.target)
        if without:
            changes = Engine([subject], target, without=without).run(model).total()
        else:
            one = ApplyRules(rules=(subject,), target=target)
            changes = one(model).modified and one.fired.total()
    else:
        before = len(session.rewrites)
        modified = dataclasses.replace(subject(), **case.options)(model).modified
        changes = len(session.rewrites) - before
        assert modified == (changes > 0)
    return models.to_proto(model), changes, session.refusals()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_verdict(case: Case, worker: Worker):
    before = parse(case.source)
    after, changes, refusals = apply(case, before, worker)
    if case.verdict == "fires":
        assert changes > 0
        assert canonical(after) == canonical(onnx.parser.parse_model(case.golden))
    else:
        assert changes == 0
        assert canonical(after) == canonical(before)
        assert [r.guard for r in refusals] == ([case.guard] if case.verdict == "refuses" else [])


@pytest.mark.parametrize("case", [c for c in CASES if c.verdict == "fires" and claim_of(c) is not Claim.LOSSY], ids=str)
def test_same_results(case: Case, worker: Worker):
    before = parse(case.source)
    after, _, _ = apply(case, before, worker)
    compared, found = differences(before, after, claim_of(case), bit_equal_on_integers=case.bit_equal)
    assert compared > 0, "neither engine runs the original on any feeds: this case shows nothing"
    assert not found


@pytest.mark.parametrize("case", [c for c in CASES if c.verdict == "fires"], ids=str)
def test_second_application_does_nothing(case: Case, worker: Worker):
    once, _, _ = apply(case, parse(case.source), worker)
    twice, changes, _ = apply(case, once, worker)
    assert changes == 0
    assert twice == once


@pytest.mark.parametrize("case", [c for c in CASES if c.verdict == "refuses" and c.subject in RULE_BY_NAME], ids=str)
def test_guard_matters(case: Case, worker: Worker):
    """Without the guard, a `requires` case must go wrong, and a `pays` case must still be right."""
    rule = RULE_BY_NAME[case.subject]
    if case.guard in ("output-needs-a-producer", "operator-not-redefined"):
        return  # the engine's own refusal: nothing of the rule's to leave out
    guard = next(g for g in (*rule.requires, *rule.pays) if g.name == case.guard)
    before = parse(case.source)
    without = frozenset({(rule.name, guard.name)})
    if not isinstance(guard, Requires):
        after, changes, _ = apply(case, before, worker, without)
        assert changes > 0, "another guard refuses too: the case does not isolate this one"
        assert not differences(before, after, rule.claim)[1]
        return
    try:
        after, changes, _ = apply(case, before, worker, without)
    except (UnsoundRewrite, ValueError, TypeError, IndexError):
        return  # `build` or the engine could not go on: the guard keeps that from happening
    assert changes > 0, "another guard refuses too: the case does not isolate this one"
    compared, found = differences(before, after, rule.claim)
    assert compared > 0, "the original does not run: the case shows nothing"
    assert found, "results do not differ without the guard: it is decoration, or the feeds are blind"
