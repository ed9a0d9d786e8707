"""`ncgopt verify`: say whether two models compute the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ncgopt.errors import ExitCode
from ncgopt.to_json import to_json

from . import options, outcome, render

if TYPE_CHECKING:
    from ncgopt.report import Verification

_CODES = {
    "passed": ExitCode.DONE,
    "failed": ExitCode.VERIFICATION_FAILED,
    "inconclusive": ExitCode.INCONCLUSIVE,
}


@click.command("verify")
@click.argument("original", type=options.PATH)
@click.argument("result", type=options.PATH)
@options.verification
@options.limits
@options.bind("Size of a symbolic dimension; others are varied.")
@options.FORMAT
@options.volume
def command(original: Path, result: Path, format_: str, verbose: bool, quiet: bool, **given: Any) -> int:
    """Run ORIGINAL and RESULT on the same data and compare interfaces and outputs.

    Exit code 0: the same within the tolerance of the output's type. 3: they differ. 5: ORIGINAL cannot
    be run on any data that was tried; --feeds gives it data of your own.
    """
    import ncgopt

    settings = options.verify_settings({**given, "verify_bind": given["bind"]})
    with render.progress(verbose=verbose, quiet=quiet or format_ == "json") as say:
        say(f"comparing {original} with {result}")
        verification = ncgopt.verify(original, result, settings)
    if format_ == "json":
        _show_json(original, result, verification)
    elif not quiet:
        _show(verification, verbose=verbose)
    return _CODES[verification.status]


def _show_json(original: Path, result: Path, verification: Verification) -> None:
    from ncgopt.report import SCHEMA_VERSION

    found = {"schema_version": SCHEMA_VERSION, "original": original, "result": result, "verification": verification}
    click.echo(to_json(found))


def _show(verification: Verification, *, verbose: bool) -> None:
    screen = render.screen()
    for line in outcome.verification_lines(verification):
        screen.line(line)
    if verbose:
        rows = [
            (run.source, render.binding_text(run.binding), run.level, outcome.difference_text(output))
            for run in verification.runs
            for output in run.outputs
        ]
        screen.table(("data", "binding", "optimizations", "output"), rows)
