"""`ncgopt optimize`: rewrite, verify, write, and say what happened."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from ncgopt.errors import CannotWrite, ExitCode, NcgoptError

from . import fleet, options, outcome, render, values
from .files import check_target, same, write_report, write_text

if TYPE_CHECKING:
    import onnx_ir as ir

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
    def page(self) -> bool:
        return self.report is not None and self.report.suffix.lower() in (".html", ".htm")

    @property
    def report_to_stdout(self) -> bool:
        return self.report is not None and str(self.report) == "-"


def _files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Have the shell complete names of files, although an argument may be more than that."""
    return [CompletionItem(incomplete, "file")]


@click.command("optimize")
@click.argument(
    "models",
    nargs=-1,
    required=True,
    metavar="MODEL...|DIR|@LIST",
    shell_complete=_files,
)
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    help="Where to write; of several models, a folder. Else MODEL.opt.onnx.",
)
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
@click.option(
    "--report", type=options.PATH, metavar="FILE", help="Write a report: a page for .html, else JSON; - is stdout."
)
@fleet.several
@click.option("--explain-refusals", "refusals", is_flag=True, help="Show which guards kept rules from applying.")
@options.volume
def command(
    models: Sequence[str],
    output: str | None,
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

    Of a DIR all *.onnx below it are meant, of @LIST what the lines of that file name; s3:// and other URLs need
    fsspec. Several models go to the folder OUT, --jobs at once. One that fails does not stop the others; the exit
    code is that of the gravest failure. Run again, only what is not done yet is done.
    """
    if (one := fleet.single(models, output, given)) is None:
        manner = fleet.Manner(output, in_place, report, verbose, quiet, refusals, **fleet.options_of(given))
        return fleet.optimize(models, manner, lambda: _settings(given, verbose=verbose))
    run = _Run(Path(output) if output is not None else None, in_place, report, verbose, quiet, refusals)
    _check(one, run)
    return _optimize(one, run, _settings(given, verbose=verbose))


def _settings(given: dict[str, Any], *, verbose: bool) -> Settings:
    chosen = options.choose(given)
    if verbose and chosen.path is not None:
        render.screen(err=True).line(f"settings from {chosen.path}")
    return _with_own_options(chosen.settings, given)


def _check(path: Path, run: _Run) -> None:
    """Refuse before the work begins what could not end well."""
    if run.output is not None and run.in_place:
        raise click.UsageError("--output and --in-place exclude each other")
    if run.output is not None and same(run.output, path):
        raise click.UsageError(f"{run.output} is the input itself; say --in-place to replace it")
    if run.output is not None:
        check_target(run.output)
    if run.report is not None and not run.report_to_stdout:
        check_target(run.report)
        if any(same(run.report, one) for one in (path, *filter(None, [run.output]))):
            raise click.UsageError(f"--report {run.report} would overwrite a model")


def _with_own_options(settings: Settings, given: dict[str, Any]) -> Settings:
    names = ("opset", "verify", "allow_unverified", "external_data", "strip_debug", "dry_run", "strict")
    names += ("search", "measure", "fail_if_slower")
    changes = {name: given[name] for name in names if given.get(name) is not None}
    measuring = {"seconds": given["measure_seconds"], "threads": given["measure_threads"]}
    changes["measurement"] = dataclasses.replace(
        settings.measurement, **{name: value for name, value in measuring.items() if value is not None}
    )
    return dataclasses.replace(settings, **changes)


def _optimize(path: Path, run: _Run, settings: Settings) -> int:
    given = click.get_current_context().obj
    if not given:
        from ncgopt import pipeline

        return _told(path, run, settings, pipeline.optimize)
    from ncgopt.runtime.supervised import Supervised

    if isinstance(given, Supervised) and settings.memory_limit is None:
        return _told(path, run, settings, given.optimize)
    with Supervised(settings.memory_limit) as supervised:
        return _told(path, run, settings, supervised.optimize)


def _told(path: Path, run: _Run, settings: Settings, optimize: Callable[..., Report]) -> int:
    before = _original(path, run, settings)
    try:
        with render.progress(verbose=run.verbose, quiet=run.quiet) as say:
            report = optimize(path, settings, output=run.output, in_place=run.in_place, progress=say)
    except NcgoptError as error:
        _write_failed_report(run, error.report, before, settings)
        raise
    if not run.quiet:
        outcome.show(render.screen(err=run.report_to_stdout), report, run.verbose, refusals=run.refusals)
    _write_report(run, report, before, settings)
    return ExitCode.DONE


def _original(path: Path, run: _Run, settings: Settings) -> ir.Model | None:
    """The model before the run, where a page will show it."""
    if not run.page:
        return None
    from ncgopt.page.report import original

    return original(path, settings, in_place=run.in_place)


def _write_report(run: _Run, report: Report, before: ir.Model | None, settings: Settings) -> None:
    if run.report is None:
        return
    if not run.page:
        write_report(run.report, report)
        return
    from ncgopt.page.report import report_page

    write_text(run.report, report_page(report, before, settings))


def _write_failed_report(run: _Run, report: Report | None, before: ir.Model | None, settings: Settings) -> None:
    """The error itself is what the user must see: a report that cannot be written does not replace it."""
    if run.report is None or report is None:
        return
    try:
        _write_report(run, report, before, settings)
    except CannotWrite as error:
        click.echo(f"ncgopt: error: {error}", err=True)
