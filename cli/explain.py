"""`ncgopt explain`: the whole story of one pass, rule or check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ncgopt.configuration import suggestion
from ncgopt.errors import Usage

from . import render

if TYPE_CHECKING:
    from ncgopt.lint.check import Check
    from ncgopt.pipeline import CatalogEntry


@click.command("explain")
@click.argument("name")
def command(name: str) -> None:
    """Show what the pass, rule or check NAME does, why it may, and what can be set.

    Checks are known by code (NCG203) and by name (nan-weights).
    """
    from ncgopt import pipeline
    from ncgopt.lint.catalog import checks

    found = {key: check for check in checks() for key in (check.code, check.name)}
    entries = {entry.name: entry for entry in pipeline.catalog()}
    if check := found.get(name.upper()) or found.get(name):
        _show_check(check)
        return
    if name not in entries:
        hint = suggestion(name, (*entries, *found)) or "; `ncgopt passes` and `ncgopt check --list` list them"
        raise Usage(f"unknown pass, rule or check {name!r}{hint}")
    _show(entries[name])


def _show_check(check: type[Check]) -> None:
    screen = render.screen()
    mends = {"": "left to you", "optimize": "`check --fix` optimizes the model", "rewrite": "`check --fix` does it"}
    screen.line(f"{check.code} {check.name} ({check.severity.label})")
    screen.line()
    screen.line(check.page())
    screen.line()
    screen.pairs([("mending", mends[check.fix])])


def _show(entry: CatalogEntry) -> None:
    screen = render.screen()
    screen.line(f"{entry.name} ({entry.kind}, {entry.claim})")
    screen.line()
    screen.line(entry.doc)
    screen.line()
    unasked = f"none, ask for it by name{f': {entry.by_request}' if entry.by_request else ''}"
    pairs = [("targets", ", ".join(entry.targets)), ("presets", ", ".join(entry.presets) or unasked)]
    if entry.plugin:
        pairs.append(("plugin", entry.plugin))
    if entry.justified:
        pairs.append(("shown by", entry.justified))
    if entry.unconditional:
        pairs.append(("always sound", entry.unconditional))
    pairs += [(guard.kind, f"{guard.name}: {guard.reason}") for guard in entry.guards]
    pairs += [("option", f"{o.name} ({o.type}, default {o.default!r}): {o.help}") for o in entry.options]
    screen.pairs(pairs)
