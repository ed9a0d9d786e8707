"""`ncgopt check`: say what is wrong with models, or could be better; for CI and pre-commit."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ncgopt.errors import ExitCode, NcgoptError
from ncgopt.lint.finding import Checked, Severity
from ncgopt.lint.many import File, check_many

from . import options, render, values
from .files import check_target, same, write_text

if TYPE_CHECKING:
    from ncgopt.settings import Settings


@dataclass(frozen=True)
class _Run:
    """What one invocation was asked for, besides the settings."""

    format: str
    output: Path | None
    baseline: Path | None
    update_baseline: bool
    fix: bool
    cache: bool
    jobs: int
    verbose: bool
    quiet: bool


def _list(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from ncgopt.lint.catalog import checks

    rows = [(check.code, check.name, check.severity.label, check.fix, check.summary()) for check in checks()]
    render.screen().table(("code", "name", "severity", "--fix", ""), rows)
    ctx.exit()


@click.command("check")
@click.argument("models", nargs=-1, type=options.PATH, metavar="[MODEL...]")
@click.option("--list", is_flag=True, expose_value=False, is_eager=True, callback=_list, help="List all checks.")
@click.option("--select", callback=values.names, metavar="CODES", help="Only these: NCG2,leaks; see --list.")
@click.option("--ignore", callback=values.names, metavar="CODES", help="Leave these out.")
@click.option(
    "--fail-on",
    type=click.Choice([severity.label for severity in Severity]),
    help="Lowest severity that gives exit code 1 (warning).",
)
@click.option("--fix", is_flag=True, help="Mend in place what can be, then say what is left.")
@click.option("--staged", is_flag=True, help="Only what git has staged, as it is staged.")
@click.option("--baseline", type=options.PATH, metavar="FILE", help="Leave out findings that this file knows.")
@click.option("--update-baseline", is_flag=True, help="Write all that is found to --baseline.")
@click.option("-j", "--jobs", type=click.IntRange(min=0), default=0, metavar="N", help="Processes (0: one per core).")
@options.selection
@options.limits
@click.option("--cache/--no-cache", default=True, help="Use what earlier runs found, and note what this one finds.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "sarif", "github", "junit"]),
    default="text",
    help="How the findings are written.",
)
@click.option("-o", "--output", type=options.PATH, metavar="FILE", help="Write them here, not to standard output.")
@options.volume
def command(
    models: Sequence[Path],
    fix: bool,
    staged: bool,
    baseline: Path | None,
    update_baseline: bool,
    jobs: int,
    cache: bool,
    format_: str,
    output: Path | None,
    verbose: bool,
    quiet: bool,
    **given: Any,
) -> int:
    """Report what is wrong with models, and what `optimize` would still do. Writes nothing without --fix.

    Each finding has a code, a severity, and a page: `ncgopt explain NCG203`. Exit code 1 where there are findings
    that are more than notes. A file that cannot be read is an error with its own code, which wins over findings; the
    remaining files are still checked. What was found in a file is kept in the user's cache folder, until the file,
    the settings or ncgopt change.
    """
    run = _Run(format_, output, baseline, update_baseline, fix, cache, jobs or _cores(), verbose, quiet)
    _check(models, run, staged=staged)
    settings = _settings(given)
    with _files(models, staged=staged) as files:
        checked = _look(files, run, settings)
        if fix:
            checked = _mend(files, checked, run, settings)
    code = next((one.exit_code for one in checked if one.exit_code), 0)
    if baseline is not None:
        checked = _known_left_out(checked, baseline, write=update_baseline)
    _show(checked, run, settings)
    threshold = Severity[settings.check.fail_on.upper()]
    failing = any(finding.level >= threshold for one in checked for finding in one.findings)
    return code or (ExitCode.FINDINGS if failing else ExitCode.DONE)


def _check(models: Sequence[Path], run: _Run, *, staged: bool) -> None:
    """Refuse what could not end well."""
    if not models and not staged:
        raise click.UsageError("Missing argument 'MODEL...'; --staged takes those that git has staged")
    if run.fix and staged:
        raise click.UsageError("--fix and --staged exclude each other: what is staged is not in a file")
    if run.update_baseline and run.baseline is None:
        raise click.UsageError("--update-baseline belongs to --baseline FILE")
    written = {"--output": run.output, "--baseline": run.baseline if run.update_baseline else None}
    for option, target in written.items():
        if target is None:
            continue
        if any(same(target, model) for model in models) or target.suffix.lower() == ".onnx":
            raise click.UsageError(f"{option} {target} would overwrite a model")
        if not os.path.exists(target):
            check_target(target)


def _settings(given: dict[str, Any]) -> Settings:
    settings = options.choose(given).settings
    names = ("select", "ignore", "fail_on")
    changes = {name: given[name] for name in names if given.get(name) is not None}
    if given.get("ignore") is not None:
        changes["ignore"] = (*settings.check.ignore, *given["ignore"])
    return dataclasses.replace(settings, check=dataclasses.replace(settings.check, **changes))


@contextlib.contextmanager
def _files(models: Sequence[Path], *, staged: bool) -> Generator[list[File]]:
    if not staged:
        yield [File.of(path) for path in dict.fromkeys(models)]
        return
    from ncgopt.lint.staged import staged as staged_files

    with staged_files(models) as files:
        yield files


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _look(files: Sequence[File], run: _Run, settings: Settings) -> list[Checked]:
    found: list[Checked] = []
    with render.progress(verbose=run.verbose, quiet=run.quiet or run.format != "text") as say:
        for one in check_many(files, settings, cache=run.cache, jobs=run.jobs, say=say):
            if one.error:
                click.echo(f"ncgopt: error: {one.error}", err=True)
            found.append(one)
    return found


def _mend(files: Sequence[File], checked: Sequence[Checked], run: _Run, settings: Settings) -> list[Checked]:
    """Mend what can be; of what was mended, what is found afterwards."""
    from ncgopt.lint.mend import mend

    left: list[Checked] = []
    for file, one in zip(files, checked, strict=True):
        try:
            with render.progress(verbose=run.verbose, quiet=run.quiet or run.format != "text") as say:
                say(f"mending {file.shown}")
                mended = mend(file.path, one.findings, settings)
        except NcgoptError as error:
            click.echo(f"ncgopt: error: {error}", err=True)
            left.append(dataclasses.replace(one, error=str(error), exit_code=int(error.exit_code)))
            continue
        left += _look([file], run, settings) if mended else [one]
    return left


def _known_left_out(checked: Sequence[Checked], path: Path, *, write: bool) -> list[Checked]:
    from ncgopt.lint import baseline

    if write:
        baseline.write(path, checked)
    known = baseline.read(path)
    return [baseline.without_known(one, known, path) for one in checked]


def _show(checked: Sequence[Checked], run: _Run, settings: Settings) -> None:
    if run.format == "text":
        text = "\n".join(_lines(checked, settings))
    else:
        from ncgopt.lint.formats import FORMATS

        text = FORMATS[run.format](checked)
    if run.output is None:
        if text and not (run.quiet and run.format == "text"):
            click.echo(text)
        return
    write_text(run.output, text + "\n" if text else "")


def _lines(checked: Sequence[Checked], settings: Settings) -> list[str]:
    """One line per finding, and one that says what to run."""
    lines: list[str] = []
    for one in checked:
        for finding in one.findings:
            tail = finding.code if finding.level > Severity.NOTE else f"{finding.code} note"
            lines.append(f"{one.model}: {finding.text} [{tail}]")
        lines += [f"{one.model}: {line}" for line in _advice(one, settings)]
        if not one.findings and not one.error:
            known = f" ({one.suppressed} known findings)" if one.suppressed else ""
            lines.append(f"{one.model}: ok{known}")
    return lines


def _advice(one: Checked, settings: Settings) -> list[str]:
    """What to run, and what it would bring."""
    ways = {finding.fix for finding in one.findings}
    model = shlex.quote(str(one.model))
    if "rewrite" in ways:
        return [f"run `ncgopt check --fix {model}`" + (f": {one.gain.text}" if one.gain and one.gain.text else "")]
    if "optimize" not in ways:
        return []
    target = f" --target {settings.target.value}" if settings.target.value != "onnx" else ""
    gained = f": {one.gain.text}" if one.gain and one.gain.text else ""
    return [f"run `ncgopt optimize --in-place{target} {model}`{gained}"]
