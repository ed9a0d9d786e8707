"""Making rewrites that a search found, on the model itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from ncgopt import facts, plugins
from ncgopt.passes.base import Pass
from ncgopt.records import record
from ncgopt.rewrite.avoided import place_of
from ncgopt.rewrite.engine import AnyRule, Engine, where
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session
from ncgopt.rules import RULES
from ncgopt.settings import Target


@record
class Step:
    """One rewrite: a rule and the place of the node at which it is rooted, see `place_of`."""

    rule: str
    place: str


def willing(rules: Sequence[AnyRule], target: Target) -> Engine:
    """An engine that applies rules where they are right, whether they pay or not."""
    waived = frozenset((rule.name, guard.name) for rule in rules for guard in rule.pays)
    return Engine(rules, target, without=waived)


@dataclass(frozen=True)
class Replay(Pass):
    """Make the rewrites of a search, one by one; one that cannot be made any more is left out."""

    name = "search"
    claim = Claim.ROUNDS  # of the weakest rule; each is one that may be applied anyway

    steps: tuple[Step, ...] = ()
    target: Target = Target.ONNX

    def run(self, model: ir.Model, session: Session) -> int:
        """How many were made."""
        return sum(replay(model, session, step, self.target) for step in self.steps)


def replay(model: ir.Model, session: Session, step: Step, target: Target) -> bool:
    """Make one step; whether that was possible."""
    rules = [rule for rule in (*RULES, *plugins.rules(())) if rule.name == step.rule]
    engine = willing(rules, target)
    facts.survey(model)
    facts.forget()
    for node in model.graph:
        if place_of(where(node)) == step.place and engine.rules_at(node):
            session.watchdog.enter(step.rule)
            return engine.apply_at(model, node, rules[0])
    return False
