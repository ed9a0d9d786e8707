"""`ncgopt check`: say what is wrong with models, or could be better; for CI and pre-commit."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ncgopt.errors import ExitCode, ModelInvalid, NcgoptError
from ncgopt.report import SCHEMA_VERSION
from ncgopt.to_json import to_json

from . import cache as findings_cache
from . import options, render

if TYPE_CHECKING:
    from ncgopt.report import Report
    from ncgopt.settings import Settings


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a model or could be better.

    Attributes:
        kind: `invalid` (no runtime accepts it), `checker` (the ONNX checker objects), `repair` (ONNX
            Runtime tolerates what the standard forbids), `contradiction` (a declared type or shape is wrong),
            `rolled-back` (a rule or pass failed on it) or `rewrite` (`optimize` would change it).
        name: the pass, rule or repair, or the value; empty for the other kinds.
        count: how often.
        message: one line; where it occurs for the first time.
    """

    kind: str
    name: str
    count: int
    message: str


@dataclass(frozen=True)
class Checked:
    """The findings of one model; `error` says why it could not be looked at."""

    model: Path
    findings: Sequence[Finding]
    error: str = ""


@click.command("check")
@click.argument("models", nargs=-1, required=True, type=options.PATH, metavar="MODEL...")
@options.selection
@options.limits
@click.option("--cache/--no-cache", default=True, help="Use what earlier runs found, and note what this one finds.")
@options.FORMAT
@options.volume
def command(models: Sequence[Path], cache: bool, format_: str, verbose: bool, quiet: bool, **given: Any) -> int:
    """Report what is wrong with models, and what `optimize` would still do. Writes nothing.

    Exit code 1 where there are findings. A file that cannot be read is an error with its own code,
    which wins over findings; the remaining files are still checked. What was found in a file is kept
    in the user's cache folder, until the file, the settings or ncgopt change.
    """
    settings = options.choose(given).settings
    checked: list[Checked] = []
    code: int = ExitCode.DONE
    for path in dict.fromkeys(models):
        try:
            with render.progress(verbose=verbose, quiet=quiet or format_ == "json") as say:
                say(f"checking {path}")
                found = _cached_findings(path, settings) if cache else _findings(path, settings)[0]
                checked.append(Checked(path, found))
        except NcgoptError as error:
            if error.exit_code == ExitCode.USAGE:
                raise
            checked.append(Checked(path, (), str(error)))
            click.echo(f"ncgopt: error: {error}", err=True)
            code = code or error.exit_code
    _show(checked, format_, quiet=quiet)
    return code or (ExitCode.FINDINGS if any(one.findings for one in checked) else ExitCode.DONE)


def _cached_findings(path: Path, settings: Settings) -> list[Finding]:
    """From the cache where they are there; else noted there, unless they depend on more than the file's content."""
    key = findings_cache.key_of(path, settings)
    noted = findings_cache.look_up(key) if key is not None else None
    known = [_restored(one) for one in noted] if noted is not None else [None]
    if None not in known:
        return [one for one in known if one is not None]
    found, alone = _findings(path, settings)
    if key is not None and alone and not any(str(path) in one.message for one in found):
        findings_cache.note(key, [dataclasses.asdict(one) for one in found])
    return found


def _restored(entry: object) -> Finding | None:
    match entry:
        case {"kind": str(kind), "name": str(name), "count": int(count), "message": str(message)}:
            return Finding(kind, name, count, message)
        case _:
            return None


def _findings(path: Path, settings: Settings) -> tuple[list[Finding], bool]:
    """The findings, and whether no other file holds part of the model."""
    from ncgopt.runtime import Worker

    with Worker(memory=settings.memory_limit) as worker:
        # The checker runs while we import the rest, load and rewrite.
        complaints = worker.begin("ncgopt.runtime.checker:check_file", path)
        from ncgopt import pipeline

        try:
            report = pipeline.findings(path, settings)
        except ModelInvalid as error:
            return [Finding("invalid", "", 1, str(error))], False
        alone = report.before is not None and report.before.file_bytes == path.stat().st_size
        return _from_checker(complaints) + _from_report(report), alone


def _from_checker(complaints: Callable[[float | None], list[str]]) -> list[Finding]:
    from ncgopt.runtime import WorkerDied

    try:
        said = complaints(None)
    except WorkerDied as death:
        said = [f"ONNX's checker crashed: {death.what}"]
    return [Finding("checker", "", 1, complaint) for complaint in said]


def _from_report(report: Report) -> list[Finding]:
    repairs = Counter(repair.kind for repair in report.repairs)
    first_repair = {repair.kind: f"{repair.where}: {repair.detail}" for repair in reversed(report.repairs)}
    found = [Finding("repair", kind, count, first_repair[kind]) for kind, count in repairs.items()]
    found += [
        Finding("contradiction", one.value, 1, f"declared as {one.declared}, and is {one.proven}")
        for one in report.contradictions
    ]
    found += [Finding("rolled-back", one.source, 1, one.reason) for one in report.rolled_back]
    rewrites = Counter(rewrite.source for rewrite in report.rewrites)
    first_rewrite = {rewrite.source: rewrite.where for rewrite in reversed(report.rewrites)}
    return found + [Finding("rewrite", name, count, first_rewrite[name]) for name, count in rewrites.items()]


def _show(checked: Sequence[Checked], format_: str, *, quiet: bool) -> None:
    if format_ == "json":
        click.echo(to_json({"schema_version": SCHEMA_VERSION, "models": checked}))
        return
    if quiet:
        return
    screen = render.screen()
    for one in checked:
        for finding in one.findings:
            name = f"{finding.name}: " if finding.name else ""
            times = f"{finding.count} times, first at " if finding.count > 1 else ""
            screen.line(f"{one.model}: {finding.kind}: {name}{times}{finding.message}")
        if not one.findings and not one.error:
            screen.line(f"{one.model}: ok")
