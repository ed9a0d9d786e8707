"""`ncgopt explain`: the whole story of one pass or rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ncgopt.configuration import suggestion
from ncgopt.errors import Usage

from . import render

if TYPE_CHECKING:
    from ncgopt.pipeline import CatalogEntry


@click.command("explain")
@click.argument("name")
def command(name: str) -> None:
    """Show what the pass or rule NAME does, why it may, and what can be set."""
    from ncgopt import pipeline

    entries = {entry.name: entry for entry in pipeline.catalog()}
    if name not in entries:
        raise Usage(f"unknown pass or rule {name!r}{suggestion(name, entries) or '; `ncgopt passes` lists them'}")
    _show(entries[name])


def _show(entry: CatalogEntry) -> None:
    screen = render.screen()
    screen.line(f"{entry.name} ({entry.kind}, {entry.claim})")
    screen.line()
    screen.line(entry.doc)
    screen.line()
    unasked = f"none, ask for it by name{f': {entry.by_request}' if entry.by_request else ''}"
    pairs = [("targets", ", ".join(entry.targets)), ("presets", ", ".join(entry.presets) or unasked)]
    if entry.justified:
        pairs.append(("shown by", entry.justified))
    if entry.unconditional:
        pairs.append(("always sound", entry.unconditional))
    pairs += [(guard.kind, f"{guard.name}: {guard.reason}") for guard in entry.guards]
    pairs += [("option", f"{o.name} ({o.type}, default {o.default!r}): {o.help}") for o in entry.options]
    screen.pairs(pairs)
