"""`ncgopt passes`: everything there is to choose from."""

from __future__ import annotations

import click

from ncgopt.report import SCHEMA_VERSION
from ncgopt.to_json import to_json

from . import options, render


@click.command("passes")
@options.FORMAT
def command(format_: str) -> None:
    """List all passes and rules with their claims: how equal the result is.

    EXACT: bit for bit. ROUNDS: the same real number, rounded elsewhere. RANGED: the same within stated
    ranges. LOSSY: changes the result; never part of a preset.
    """
    from ncgopt import pipeline

    entries = pipeline.catalog()
    if format_ == "json":
        click.echo(to_json({"schema_version": SCHEMA_VERSION, "passes": entries}))
        return
    rows = [(e.name, e.kind, e.claim, ",".join(e.presets) or "-", ",".join(e.targets), e.summary) for e in entries]
    render.screen().table(("name", "kind", "claim", "presets", "targets", "summary"), rows)
