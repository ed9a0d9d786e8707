"""Which passes run: the user's settings resolved into a list, or one clear line about what is wrong."""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from ncgopt.errors import Usage
from ncgopt.passes import Pass
from ncgopt.passes.apply_rules import ApplyRules
from ncgopt.pipeline.catalog import pass_by_name, rule_by_name
from ncgopt.pipeline.objective import with_objective
from ncgopt.pipeline.presets import EXACT_PRESETS, PRESET_OPTIONS, PRESETS, RULES_GROUP
from ncgopt.records import record
from ncgopt.rewrite.rule import Claim, Rule
from ncgopt.settings import Settings, Target


@record
class Plan:
    """What runs: `lossy` passes once, first; `steps` again and again until none changes anything; then `closing`.

    `closing` are the rules and passes that wait for the others (`Rule.closing`, `Pass.closing`). Once
    one of them changes something, `everything` runs until nothing changes any more.
    """

    lossy: tuple[Pass, ...]
    steps: tuple[Pass, ...]
    closing: tuple[Pass, ...]
    everything: tuple[Pass, ...]


def make_plan(settings: Settings) -> Plan:
    """Resolve presets, names, globs and options.

    Raises:
        Usage: an unknown name, option or value, or a glob that matches nothing.
    """
    settings = with_objective(settings)
    if settings.preset not in PRESETS:
        raise Usage(f"unknown preset {settings.preset!r}{_hint(settings.preset, PRESETS)}")
    requested = settings.passes if settings.passes is not None else (settings.preset,)
    names = _without_skipped(_expand(requested), settings.skip)
    exact = settings.exact or any(name in EXACT_PRESETS for name in requested)
    passes, rules = pass_by_name(), rule_by_name()
    options = _options(settings, requested, names)
    lossy: list[Pass] = []
    steps: list[Pass | Rule[Any]] = []
    for name in names:
        subject = rules.get(name) or passes[name]
        if exact and subject.claim is not Claim.EXACT:
            continue
        if isinstance(subject, Rule):
            steps.append(subject)
        else:
            made = _configured(subject, options.get(name, {}))
            (lossy if subject.claim is Claim.LOSSY else steps).append(made)
    return Plan(tuple(lossy), *_stages(steps, settings.target))


def _stages(
    steps: Sequence[Pass | Rule[Any]], target: Target
) -> tuple[tuple[Pass, ...], tuple[Pass, ...], tuple[Pass, ...]]:
    """The steps without those that wait for the others, those that wait, and all together."""
    serving = [s for s in steps if not isinstance(s, Rule) or target in s.targets]
    first = [s for s in serving if not s.closing]
    waiting = [s for s in serving if s.closing]
    return tuple(_grouped(first, target)), tuple(_grouped(waiting, target)), tuple(_grouped(serving, target))


def _expand(requested: Iterable[str]) -> list[str]:
    """Presets and the group of rules become the names they stand for; duplicates are dropped."""
    passes, rules = pass_by_name(), rule_by_name()
    names: dict[str, None] = {}

    def add(name: str) -> None:
        if name in PRESETS:
            for inner in PRESETS[name]:
                add(inner)
        elif name == RULES_GROUP:
            names.update(dict.fromkeys(name for name, rule in rules.items() if not rule.by_request))
        elif name in passes or name in rules:
            names[name] = None
        else:
            raise Usage(f"unknown pass or rule {name!r}{_hint(name, [*passes, *rules, *PRESETS, RULES_GROUP])}")

    for name in requested:
        add(name)
    return list(names)


def _without_skipped(names: list[str], globs: Iterable[str]) -> list[str]:
    everything = [*pass_by_name(), *rule_by_name()]
    for glob in globs:
        if not fnmatch.filter(everything, glob):
            raise Usage(f"--skip {glob!r} matches no pass or rule{_hint(glob, everything)}")
    return [n for n in names if not any(fnmatch.fnmatchcase(n, glob) for glob in globs)]


def _options(settings: Settings, requested: Iterable[str], names: list[str]) -> dict[str, dict[str, object]]:
    merged: dict[str, dict[str, object]] = {}
    for source in (*(PRESET_OPTIONS.get(name, {}) for name in requested), settings.options):
        for name, values in source.items():
            if name not in pass_by_name():
                raise Usage(f"options for {name!r}, which is no pass{_hint(name, pass_by_name())}")
            merged.setdefault(name, {}).update({key.replace("-", "_"): value for key, value in values.items()})
    for name in settings.options:
        if pass_by_name()[name].claim is Claim.LOSSY and name not in names:
            raise Usage(f"{name} has options but is not asked for: add it with --passes {name},{settings.preset}")
    return merged


def _configured(cls: type[Pass], options: dict[str, object]) -> Pass:
    # pyright cannot see that every pass is a dataclass; a test can.
    fields = {f.name: f for f in dataclasses.fields(cls)}  # pyright: ignore[reportArgumentType]
    values: dict[str, object] = {}
    for key, value in options.items():
        if key not in fields:
            raise Usage(f"{cls.name} has no option {key!r}{_hint(key, fields)}")
        values[key] = _typed(cls.name, key, value, fields[key].default)
    return cls(**values)  # pyright: ignore[reportCallIssue]


def _typed(owner: str, key: str, value: object, default: object) -> object:
    """`value` in the type of the field's default; the command line hands over text."""
    wanted = default.__class__
    wrong = Usage(f"{owner}: {key} must be {wanted.__name__}, not {value!r}")
    if isinstance(value, str) and not isinstance(default, str):
        try:
            value = _parsed(value, default)
        except ValueError:
            raise wrong from None
    if isinstance(default, tuple) and isinstance(value, (list, tuple)):
        return tuple(str(v) for v in cast("Sequence[object]", value))
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if value.__class__ is not wanted:
        raise wrong
    return cast(object, value)


def _parsed(text: str, default: object) -> object:
    if isinstance(default, bool):
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    if isinstance(default, tuple):
        return tuple(part for part in text.split(",") if part)
    return int(text) if isinstance(default, int) else float(text)


def _grouped(steps: Sequence[Pass | Rule[Any]], target: Target) -> Iterator[Pass]:
    """Neighbouring rules become one step, so that the engine sees them together."""
    rules: list[Rule[Any]] = []
    for step in steps:
        if isinstance(step, Rule):
            rules.append(step)
            continue
        if rules:
            yield ApplyRules(tuple(rules), target)
            rules = []
        yield step
    if rules:
        yield ApplyRules(tuple(rules), target)


def _hint(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=3)
    return f"; did you mean {', '.join(close)}?" if close else "; `ncgopt passes` lists them"
