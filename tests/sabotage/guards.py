"""One guard at a time is left out, and the case tests and the fuzzer are asked whether they notice."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
from case_file import Case, all_cases
from fuzz.optimizing import without_guard
from fuzz.trial import try_index
from semantics import differences

from ncgopt import model as models
from ncgopt.errors import UnsoundRewrite
from ncgopt.rewrite import Engine, Session
from ncgopt.rules import RULES
from ncgopt.settings import Target

# What `build` and the engine stumble over when a guard does not keep them from a match.
_STUMBLES = (UnsoundRewrite, ValueError, TypeError, IndexError, AttributeError, KeyError, AssertionError)


@dataclass(frozen=True)
class Guard:
    rule: str
    name: str


@dataclass(frozen=True)
class Noticed:
    """Who noticed that a guard was missing.

    Attributes:
        cases: refusing cases, by what they showed: `differs`, `stumbles`, or `nothing`.
        models: random models until one failed; 0 where none did.
        failure: what the fuzzer saw.
    """

    rule: str
    guard: str
    cases: tuple[str, ...]
    models: int
    failure: str

    @property
    def by_cases(self) -> bool:
        return any(case != "nothing" for case in self.cases)

    @property
    def survived(self) -> bool:
        """Whether nobody noticed."""
        return not self.by_cases and not self.models


def all_guards() -> list[Guard]:
    """Every guard that soundness needs, of every rule."""
    return [Guard(rule.name, guard.name) for rule in RULES for guard in rule.requires]


def by_cases(guard: Guard) -> tuple[str, ...]:
    """What the guard's refusing cases show without it."""
    return tuple(_show(c, guard) for c in all_cases() if c.subject == guard.rule and c.guard == guard.name)


def by_model(guard: Guard, seed: int, index: int) -> str:
    """What is wrong with the random model of that number without the guard; empty where nothing is."""
    result = try_index(seed, index, guard.rule, (guard.rule, guard.name))
    return f"{result.failures[0].kind}: {result.failures[0].detail}"[:200] if result.failures else ""


def _show(case: Case, guard: Guard) -> str:
    before = onnx.parser.parse_model(case.source)
    rule = next(r for r in RULES if r.name == guard.rule)
    model = models.from_proto(before).model
    Session(model)
    try:
        with without_guard(guard.rule, guard.name):
            Engine([rule], Target(case.target)).run(model)
        after = models.to_proto(model)
    except _STUMBLES:
        return "stumbles"
    return "differs" if differences(before, after, rule.claim)[1] else "nothing"
