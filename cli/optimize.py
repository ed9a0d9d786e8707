"""`ncgopt optimize`: rewrite, verify, write, and say what happened."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ncgopt.errors import CannotWrite, ExitCode, InputUnreadable, NcgoptError
from ncgopt.to_json import to_json

from . import options, outcome, render, values

if TYPE_CHECKING:
    from ncgopt.report import Report
    from ncgopt.settings import Settings


@dataclass(frozen=True)
class _Run:
    """What one invocation was asked for, besides the settings."""

    output: Path | None
    in_place: bool
    report: Path | None
    verbose: bool
    quiet: bool
    refusals: bool

    @property
    def report_to_stdout(self) -> bool:
        return self.report is not None and str(self.report) == "-"


@click.command("optimize")
@click.argument("models", nargs=-1, required=True, type=options.PATH, metavar="MODEL...")
@click.option("-o", "--output", type=options.PATH, metavar="OUT", help="Where to write; else MODEL.opt.onnx.")
@click.option("--in-place", is_flag=True, help="Replace the model itself.")
@click.option("--opset", type=int, metavar="N", help="Upgrade to this version of the default operator set first.")
@options.selection
@options.pruning
@click.option("--verify/--no-verify", "verify", default=None, help="Compare with the original first (default).")
@click.option("--allow-unverified", is_flag=True, default=None, help="Write even if the original cannot be run.")
@options.verification
@options.limits
@click.option(
    "--verify-bind",
    multiple=True,
    callback=values.bindings,
    metavar="NAME=N",
    help="Size of a symbolic dimension while verifying; the model keeps it symbolic.",
)
@options.measuring
@click.option(
    "--external-data", type=click.Choice(["auto", "always", "never"]), help="Where weights go; auto: as in the input."
)
@click.option(
    "--strip-debug", is_flag=True, default=None, help="Take away doc strings, and metadata of all but the model itself."
)
@click.option("--strict", is_flag=True, default=None, help="Fail rather than leave out a rewrite that is at fault.")
@click.option("--dry-run", is_flag=True, default=None, help="Do everything but write the model.")
@click.option("--report", type=options.PATH, metavar="FILE.json", help="Write a report, on failure too; - is stdout.")
@click.option("--explain-refusals", "refusals", is_flag=True, help="Show which guards kept rules from applying.")
@options.volume
def command(
    models: Sequence[Path],
    output: Path | None,
    in_place: bool,
    report: Path | None,
    refusals: bool,
    verbose: bool,
    quiet: bool,
    **given: Any,
) -> int:
    """Rewrite models so that they compute the same with less, and check that they do.

    Every result is compared with its original before it is written, on generated data and on --feeds.
    If they differ, the rewrite at fault is found and left out, unless --strict forbids that (exit code 3).
    Nothing is written if the original cannot be run (5).
    """
    run = _Run(output, in_place, report, verbose, quiet, refusals)
    models = list(dict.fromkeys(models))
    _check(models, run)
    chosen = options.choose(given)
    settings = _with_own_options(chosen.settings, given)
    if verbose and chosen.path is not None:
        render.screen(err=True).line(f"settings from {chosen.path}")
    reports: list[Report] = []
    code = _optimize_all(models, run, settings, reports)
    if run.report is not None:
        _write_report(run, reports, single=len(models) == 1)
    return code


def _check(models: Sequence[Path], run: _Run) -> None:
    """Refuse before the work begins what could not end well."""
    if run.output is not None and run.in_place:
        raise click.UsageError("--output and --in-place exclude each other")
    if run.output is not None and len(models) > 1:
        raise click.UsageError("--output takes one model; several go to their own MODEL.opt.onnx, or --in-place")
    for path in models:
        if path.is_dir():
            raise InputUnreadable(f"{path} is a directory, not an ONNX file")
        if run.output is not None and _same(run.output, path):
            raise click.UsageError(f"{run.output} is the input itself; say --in-place to replace it")
    if run.output is not None:
        _check_target(run.output)
    if run.report is not None and not run.report_to_stdout:
        _check_target(run.report)
        if any(_same(run.report, path) for path in (*models, *filter(None, [run.output]))):
            raise click.UsageError(f"--report {run.report} would overwrite a model")


def _check_target(path: Path) -> None:
    folder = path.absolute().parent
    if path.is_dir():
        raise CannotWrite(f"{path} is a directory")
    if not folder.is_dir():
        raise CannotWrite(f"{path}: the folder {folder} does not exist")
    if not os.access(folder, os.W_OK):
        raise CannotWrite(f"{path}: no permission to write in {folder}")


def _same(a: Path, b: Path) -> bool:
    return a.samefile(b) if a.exists() and b.exists() else a.absolute() == b.absolute()


def _with_own_options(settings: Settings, given: dict[str, Any]) -> Settings:
    names = ("opset", "verify", "allow_unverified", "external_data", "strip_debug", "dry_run", "strict")
    names += ("search", "measure", "fail_if_slower")
    changes = {name: given[name] for name in names if given.get(name) is not None}
    measuring = {"seconds": given["measure_seconds"], "threads": given["measure_threads"]}
    changes["measurement"] = dataclasses.replace(
        settings.measurement, **{name: value for name, value in measuring.items() if value is not None}
    )
    return dataclasses.replace(settings, **changes)


def _optimize_all(models: Sequence[Path], run: _Run, settings: Settings, reports: list[Report]) -> int:
    """All models, one after the other; one that fails does not stop the others. The first code wins."""
    given = click.get_current_context().obj
    if not given:
        from ncgopt import pipeline

        return _one_by_one(models, run, settings, reports, pipeline.optimize)
    from ncgopt.runtime.supervised import Supervised

    if isinstance(given, Supervised) and settings.memory_limit is None:
        return _one_by_one(models, run, settings, reports, given.optimize)
    with Supervised(settings.memory_limit) as supervised:
        return _one_by_one(models, run, settings, reports, supervised.optimize)


def _one_by_one(
    models: Sequence[Path], run: _Run, settings: Settings, reports: list[Report], optimize: Callable[..., Report]
) -> int:
    code: int = ExitCode.DONE
    for path in models:
        try:
            with render.progress(verbose=run.verbose, quiet=run.quiet) as say:
                report = optimize(path, settings, output=run.output, in_place=run.in_place, progress=say)
        except NcgoptError as error:
            found = getattr(error, "report", None)
            if found is not None:
                reports.append(found)
            if len(models) == 1:
                _write_failed_report(run, reports)
                raise
            click.echo(f"ncgopt: error: {error}", err=True)
            code = code or error.exit_code
            continue
        reports.append(report)
        if not run.quiet:
            outcome.show(render.screen(err=run.report_to_stdout), report, run.verbose, refusals=run.refusals)
    return code


def _write_failed_report(run: _Run, reports: Sequence[Report]) -> None:
    """The error itself is what the user must see: a report that cannot be written does not replace it."""
    if run.report is None or not reports:
        return
    try:
        _write_report(run, reports, single=True)
    except CannotWrite as error:
        click.echo(f"ncgopt: error: {error}", err=True)


def _write_report(run: _Run, reports: Sequence[Report], *, single: bool) -> None:
    """One model: its report. Several: a list of them."""
    text = to_json(reports[0] if single else list(reports)) + "\n"
    if run.report is None or run.report_to_stdout:
        click.echo(text, nl=False)
        return
    try:
        run.report.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CannotWrite(f"{run.report}: {error.strerror}") from error
