"""Everything there is to choose from, described for people and for the command line."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from ncgopt import plugins
from ncgopt.passes import PASSES, Pass
from ncgopt.pipeline.presets import EXACT_PRESETS, PRESETS, RULES_GROUP
from ncgopt.records import record
from ncgopt.rewrite.rule import Claim, Rule
from ncgopt.rules import RULES
from ncgopt.rules.justification import justifications


@record
class Option:
    """One option of a pass."""

    name: str
    type: str
    default: object
    help: str


@record
class GuardEntry:
    """One guard of a rule; `kind` is `requires` (soundness) or `pays` (profit)."""

    name: str
    reason: str
    kind: str


@record
class CatalogEntry:
    """A pass or rule as users meet it.

    Attributes:
        name: what `--passes` and `--skip` take.
        kind: `pass` or `rule`.
        subject: the folder of a rule; `graph` for a pass.
        claim: `EXACT`, `ROUNDS`, `RANGED` or `LOSSY`.
        summary: the first line of the documentation.
        doc: the documentation, whole.
        targets: targets it serves.
        presets: presets it is part of.
        options: what can be set, for passes.
        guards: what must hold, for rules.
        unconditional: why a rule needs no guard for soundness.
        by_request: why a rule is part of no preset, where it is part of none.
        justified: how a rule was shown to hold, in one line.
        plugin: the package it comes from, where that is another one.
    """

    name: str
    kind: str
    subject: str
    claim: str
    summary: str
    doc: str
    targets: tuple[str, ...]
    presets: tuple[str, ...]
    options: tuple[Option, ...] = ()
    guards: tuple[GuardEntry, ...] = ()
    unconditional: str = ""
    by_request: str = ""
    justified: str = ""
    plugin: str = ""


def catalog() -> list[CatalogEntry]:
    """All passes, then all rules, in the order in which they are tried; those of plugins come last of each."""
    return [_of_pass(cls) for cls in all_passes()] + [_of_rule(rule) for rule in all_rules()]


def all_passes() -> tuple[type[Pass], ...]:
    """The passes of ncgopt, then those of plugins.

    Raises:
        Unavailable: a plugin cannot be used.
    """
    return (*PASSES, *plugins.passes(cls.name for cls in PASSES))


def all_rules() -> tuple[Rule[Any], ...]:
    """The rules of ncgopt, then those of plugins; raises as `all_passes`."""
    return (*RULES, *plugins.rules(rule.name for rule in RULES))


def pass_by_name() -> Mapping[str, type[Pass]]:
    """The passes that users can name."""
    return {cls.name: cls for cls in all_passes()}


def rule_by_name() -> Mapping[str, Rule[Any]]:
    """The rules."""
    return {rule.name: rule for rule in all_rules()}


def _of_pass(cls: type[Pass]) -> CatalogEntry:
    doc = inspect.cleandoc(cls.__doc__ or "")
    options: list[Option] = []
    for f in dataclasses.fields(cls):  # pyright: ignore[reportArgumentType] - every pass is a dataclass (tested)
        options.append(Option(f.name, str(f.type), f.default, str(f.metadata.get("help", ""))))
    presets = tuple(p for p, names in PRESETS.items() if cls.name in names and _allows(p, cls.claim))
    return CatalogEntry(
        cls.name, "pass", "graph", cls.claim.name, doc.split("\n")[0], doc, ("onnx", "onnxruntime"), presets,
        tuple(options), plugin=plugins.origin(cls),
    )  # fmt: skip


def _of_rule(rule: Rule[Any]) -> CatalogEntry:
    doc = inspect.cleandoc(type(rule).__doc__ or "")
    guards = [GuardEntry(g.name, g.reason, "requires") for g in rule.requires]
    guards += [GuardEntry(g.name, g.reason, "pays") for g in rule.pays]
    presets = tuple(
        p for p, names in PRESETS.items() if RULES_GROUP in names and not rule.by_request and _allows(p, rule.claim)
    )
    shown = justifications().get(rule.name)
    return CatalogEntry(
        rule.name, "rule", _subject(rule), rule.claim.name, doc.split("\n")[0], doc,
        tuple(sorted(t.value for t in rule.targets)), presets, guards=tuple(guards), unconditional=rule.unconditional,
        by_request=rule.by_request, justified=shown.summary if shown is not None else "",
        plugin=plugins.origin(type(rule)),
    )  # fmt: skip


def _subject(rule: Rule[Any]) -> str:
    return plugins.origin(type(rule)) or type(rule).__module__.split(".")[-2]


def _allows(preset: str, claim: Claim) -> bool:
    return claim is not Claim.LOSSY and (preset not in EXACT_PRESETS or claim is Claim.EXACT)
