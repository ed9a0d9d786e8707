"""`ncgopt bisect`: find the rewrite at fault, and write the smallest model that shows it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ncgopt.errors import ExitCode
from ncgopt.to_json import to_json

from . import options, outcome, render, values

if TYPE_CHECKING:
    from ncgopt.reduce import Bisection, Bundle, Replay


@click.command("bisect")
@click.argument("model", required=False, type=options.PATH)
@click.option("-o", "--output", type=options.PATH, metavar="FOLDER", help="Where the bundle goes; else MODEL.bisect.")
@click.option("--replay", type=options.PATH, metavar="FOLDER", help="Show again what a bundle shows.")
@click.option("--seconds", type=float, default=120.0, show_default=True, help="How long to look for a smaller model.")
@click.option("--opset", type=int, metavar="N", help="Upgrade to this version of the default operator set first.")
@options.selection
@options.pruning
@options.verification
@click.option(
    "--verify-bind",
    multiple=True,
    callback=values.bindings,
    metavar="NAME=N",
    help="Size of a symbolic dimension while verifying.",
)
@options.FORMAT
@options.volume
def command(
    model: Path | None,
    output: Path | None,
    replay: Path | None,
    seconds: float,
    format_: str,
    verbose: bool,
    quiet: bool,
    **given: Any,
) -> int:
    """Find out which rewrite makes the optimized MODEL wrong, and write a bundle to send with a bug report.

    MODEL is optimized and verified as `optimize` does it, with the same options; it is not written. Where
    verification fails or a rewrite does, the first rewrite at fault is found by bisection, and the part of
    the model around it is made as small as it can be while the fault still shows.

    Exit code 0: nothing is wrong. 3: a rewrite is at fault; the bundle is written.
    """
    if (model is None) == (replay is None):
        raise click.UsageError("name a MODEL, or a bundle with --replay")
    if replay is not None:
        return _replay(replay, format_, quiet=quiet)
    assert model is not None
    import dataclasses

    from ncgopt import reduce

    settings = options.choose(given).settings
    if given.get("opset") is not None:
        settings = dataclasses.replace(settings, opset=given["opset"])
    folder = output if output is not None else model.with_name(f"{model.stem}.bisect")
    with render.progress(verbose=verbose, quiet=quiet or format_ == "json") as say:
        found = reduce.bisect(model, settings, folder=folder, seconds=seconds, progress=say)
    if format_ == "json":
        click.echo(to_json({"bundle": found.bundle, "folder": found.folder, "report": found.report}))
    elif not quiet:
        _show(found)
    return ExitCode.DONE if found.bundle is None else ExitCode.VERIFICATION_FAILED


def _show(found: Bisection) -> None:
    screen = render.screen()
    if found.bundle is None:
        lines = outcome.verification_lines(found.report.verification)
        rewrites = len(found.report.rewrites)
        screen.pairs([("nothing is wrong", f"{rewrites} rewrites"), *(("verified", line) for line in lines)])
        return
    bundle = found.bundle
    size = f"{bundle.nodes} of {bundle.nodes_before} nodes, {bundle.elements} numbers"
    screen.pairs(
        [
            *_fault(bundle),
            ("bundle", str(found.folder)),
            ("model", size if bundle.reduced else "no part of the model shows it; the whole was written"),
            ("replay", f"ncgopt bisect --replay {found.folder}"),
        ]
    )


def _fault(bundle: Bundle) -> list[tuple[str, str]]:
    symptom = bundle.symptom
    shown = f"{symptom.kind}: {symptom.detail}" + (f" ({symptom.level})" if symptom.level else "")
    return [
        ("AT FAULT", f"{bundle.source} at {bundle.where}"),
        ("reason", bundle.reason),
        ("shows", shown),
    ]


def _replay(folder: Path, format_: str, *, quiet: bool) -> int:
    from ncgopt import reduce

    found = reduce.replay(folder)
    if format_ == "json":
        click.echo(to_json(found))
    elif not quiet:
        _show_replay(found)
    return ExitCode.VERIFICATION_FAILED if found.fresh is not None else ExitCode.DONE


def _show_replay(found: Replay) -> None:
    pairs = _fault(found.bundle)
    for what, symptom in (("stored result", found.stored), ("result now", found.fresh)):
        pairs.append((what, f"{symptom.kind}: {symptom.detail}" if symptom is not None else "nothing is wrong"))
    render.screen().pairs(pairs)
