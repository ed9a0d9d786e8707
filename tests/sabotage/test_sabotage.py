"""Sabotage itself: what is left out is really gone, is noticed, and comes back."""

from __future__ import annotations

import pytest

from ncgopt.rules import RULES
from ncgopt.runtime import Worker
from sabotage.__main__ import leave_out, summary
from sabotage.conditions import all_conditions, survives
from sabotage.guards import Guard, Noticed, all_guards, by_cases


def test_every_guard_of_every_rule_has_its_turn():
    assert len(all_guards()) == sum(len(rule.requires) for rule in RULES)


def test_a_missing_guard_is_noticed_by_its_case_and_then_put_back():
    guard = Guard("eliminate-add-zero", "neutral-zero")
    before = next(rule for rule in RULES if rule.name == guard.rule).requires
    assert "differs" in by_cases(guard)
    assert next(rule for rule in RULES if rule.name == guard.rule).requires == before


def test_what_nobody_notices_is_named():
    text = summary([Noticed("a-rule", "a-guard", ("nothing",), 0, ""), Noticed("b", "c", ("differs",), 3, "crash: x")])
    assert text.splitlines()[0].endswith("noticed by cases 1, by random models 1, by nobody 1")
    assert "SURVIVED a-rule, a-guard" in text


@pytest.mark.parametrize("text", ["bounds.high.number >= greatest", "bounds.low.number <= least"])
def test_a_condition_that_cases_show_does_not_survive(text: str):
    mine = [c for c in all_conditions() if c.rule == "eliminate-noop-clip" and c.text == text]
    assert len(mine) == 1 or not mine
    for condition in mine:
        assert survives(condition, 0, 0) is None


def test_a_model_that_takes_the_process_down_says_nothing_of_the_guard(monkeypatch: pytest.MonkeyPatch):
    guard = Guard("eliminate-add-zero", "neutral-zero")
    with Worker() as worker:
        call = worker.call

        def crashes(function: str, *args: object, timeout: float) -> object:
            return call(*(("os:_exit", 3) if function.endswith("by_model") else (function, *args)), timeout=timeout)

        monkeypatch.setattr(worker, "call", crashes)
        assert leave_out(worker, guard, 2, 0).models == 0
