"""`ncgopt optimize` for many models: several at once, a line for each, and a table at the end."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from ncgopt.errors import ExitCode, NcgoptError, worst

from . import outcome, render
from .files import check_target, same, write_report

if TYPE_CHECKING:
    from ncgopt.fleet import Finished, Pair
    from ncgopt.settings import Settings

_Command = TypeVar("_Command", bound=Callable[..., Any])
_NAMES = ("jobs", "engine", "cluster", "again")


@dataclass(frozen=True)
class Manner:
    """How many models are done, besides the settings."""

    output: str | None
    in_place: bool
    report: Path | None
    verbose: bool
    quiet: bool
    refusals: bool
    jobs: int
    engine: str
    cluster: str
    again: bool


def several(command: _Command) -> _Command:
    """Options for more than one model."""
    for option in (
        click.option("--again", is_flag=True, help="Of several models: do again what is in OUT already."),
        click.option(
            "--cluster",
            metavar="ADDRESS",
            help="Of a Ray or Dask cluster; else --jobs workers are started here.",
        ),
        click.option(
            "--engine", type=click.Choice(["local", "ray", "dask"]), help="Where --jobs run; local: on this machine."
        ),
        click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="Models at once (1)."),
    ):
        command = option(command)
    return command


def options_of(given: dict[str, Any]) -> dict[str, Any]:
    """The values of `several`, defaults filled in."""
    if given["cluster"] is not None and given["engine"] in (None, "local"):
        raise click.UsageError("--cluster needs --engine ray or --engine dask")
    return {
        "jobs": given["jobs"] or 1,
        "engine": given["engine"] or "local",
        "cluster": given["cluster"] or "",
        "again": given["again"],
    }


def single(models: Sequence[str], output: str | None, given: Mapping[str, Any]) -> Path | None:
    """The model, where it is just one file that is told about at length; None for whatever takes more."""
    paths = list(dict.fromkeys(models))
    several = len(paths) > 1 or paths[0].startswith("@") or os.path.isdir(paths[0])
    to_folder = output is not None and output.endswith(("/", os.sep))
    elsewhere = any("://" in text for text in (*paths, output or ""))
    return None if several or to_folder or elsewhere or any(given[name] for name in _NAMES) else Path(paths[0])


def optimize(models: Sequence[str], manner: Manner, choose: Callable[[], Settings]) -> int:
    """All models; one that fails does not stop the others. The exit code is that of the gravest failure."""
    from ncgopt.fleet import Engine, optimize_all

    pairs = _pairs(models, manner)
    settings = choose()
    engine: Any = manner.engine
    supervised = _end_early_child() or manner.jobs > 1 or manner.engine != "local"
    telling = _Telling(pairs, manner)
    with telling.live() as say:
        running = optimize_all(
            pairs,
            settings,
            engine=Engine(engine, manner.jobs, manner.cluster),
            folder=manner.output,
            again=manner.again,
            supervised=supervised,
            say=say,
        )
        with contextlib.closing(running) as finished:
            for one in finished:
                telling.add(one)
    if not manner.quiet:
        telling.table()
    if manner.report is not None:
        write_report(manner.report, telling.reports())
    return worst(_code(one.error) for one in telling.finished if one is not None)


def _end_early_child() -> bool:
    """End the child that was started for a single model; whether work is to be done in children at all."""
    given = click.get_current_context().obj
    if not given or given is True:
        return bool(given)
    given.close()
    return True


def _pairs(models: Sequence[str], manner: Manner) -> list[Pair]:
    """All models and where their results go; refuses what could not end well."""
    from ncgopt.fleet import beside, find, into_folder

    output = manner.output
    if output is not None and manner.in_place:
        raise click.UsageError("--output and --in-place exclude each other")
    if output is not None and output.endswith(".onnx") and not os.path.isdir(output):
        raise click.UsageError(f"--output {output} is one file; the results of several models go into a folder")
    if manner.again and output is None:
        raise click.UsageError("--again needs a folder of results (-o), as only there it is noted what was done")
    sources = find(models, results_too=output is not None, output=output)
    pairs = into_folder(sources, output) if output is not None else beside(sources, in_place=manner.in_place)
    if manner.report is not None and manner.report.suffix.lower() in (".html", ".htm"):
        raise click.UsageError("a page (--report FILE.html) shows one model; of several, --report FILE.json tells")
    if manner.report is not None and str(manner.report) != "-":
        check_target(manner.report)
        paths = [path for pair in pairs for path in (pair.source, pair.target) if path is not None]
        if any(same(manner.report, Path(path)) for path in paths):
            raise click.UsageError(f"--report {manner.report} would overwrite a model")
    return pairs


def _code(error: Exception | None) -> ExitCode:
    match error:
        case None:
            return ExitCode.DONE
        case NcgoptError():
            return error.exit_code
        case MemoryError():
            return ExitCode.OUT_OF_RESOURCES
        case RecursionError():
            return ExitCode.MODEL_INVALID
        case _:
            return ExitCode.BUG


def _message(error: Exception) -> str:
    if isinstance(error, NcgoptError):
        return " ".join(str(error).split())
    what = f"{type(error).__name__}: {error}"
    known = isinstance(error, (MemoryError, RecursionError))
    return " ".join(what.split()) + ("" if known else "; this is a bug of ncgopt, please report it")


class _Telling:
    """What is said about the models, while they are done and at the end."""

    def __init__(self, pairs: Sequence[Pair], manner: Manner) -> None:
        self._pairs, self._manner = pairs, manner
        self.finished: list[Finished | None] = [None] * len(pairs)
        self._doing: dict[int, str] = {}
        self._lock = threading.Lock()
        self._update: Callable[[str], None] = lambda _: None

    @contextlib.contextmanager
    def live(self) -> Generator[Callable[[int, str], None]]:
        """Something to report steps to, from any thread."""
        with render.progress(verbose=self._manner.verbose, quiet=self._manner.quiet) as update:
            self._update = update
            yield self._say

    def _say(self, index: int, text: str) -> None:
        with self._lock:
            if self._manner.verbose:
                self._update(f"{self._pairs[index].source}: {text}")
                return
            self._doing[index] = text
            self._update(self._status())

    def _status(self) -> str:
        done = sum(one is not None for one in self.finished)
        doing = "; ".join(f"{self._pairs[index].name}: {text}" for index, text in sorted(self._doing.items()))
        return f"{done} of {len(self._pairs)} done; {doing}"

    def add(self, one: Finished) -> None:
        """A model is done: an error at once, the rest at the end, or with -v at length."""
        with self._lock:
            self.finished[one.index] = one
            self._doing.pop(one.index, None)
        if one.error is not None:
            message = _message(one.error)
            named = message if one.pair.source in message else f"{one.pair.source}: {message}"
            click.echo(f"ncgopt: error: {named}", err=True)
            return
        if self._manner.verbose and not isinstance(one.report, (Mapping, type(None))):
            screen = render.screen(err=self._to_stderr)
            outcome.show(screen, one.report, True, refusals=self._manner.refusals)
            screen.line()

    @property
    def _to_stderr(self) -> bool:
        return str(self._manner.report) == "-"

    def table(self) -> None:
        """A row for each model, in their order, and the sum."""
        screen = render.screen(err=self._to_stderr)
        headers = ("model", "result", "nodes", "weights", "rewrites", "left out", "verified", "seconds")
        found = [one for one in self.finished if one is not None]
        screen.table(headers, [_row(screen, one) for one in found])
        counts: dict[str, int] = {}
        for one in found:
            what = _result(one).partition(" (")[0]
            counts[what] = counts.get(what, 0) + 1
        screen.line(f"{len(found)} models: " + ", ".join(f"{count} {what}" for what, count in counts.items()))

    def reports(self) -> list[object]:
        """For `--report`, in the order of the models; a model that could not even be loaded has its error alone."""
        return [_report(one) for one in self.finished if one is not None]


def _report(one: Finished) -> object:
    if one.report is not None:
        return one.report
    import ncgopt
    from ncgopt.report import Report

    error = _message(one.error) if one.error is not None else ""
    return Report(one.pair.source, ncgopt.__version__, notes=[error])


def _result(one: Finished) -> str:
    if one.error is not None:
        return f"failed ({_code(one.error)})"
    if one.before:
        return "done before"
    return str(getattr(one.report, "status", ""))


def _row(screen: render.Screen, one: Finished) -> tuple[str, ...]:
    report: Any = one.report if one.error is None else None
    plain = _plain(report)
    before, after = _plain(plain.get("before")), _plain(plain.get("after"))
    verification = _plain(plain.get("verification"))
    return (
        one.pair.source,
        _result(one),
        _change(screen.count, before.get("nodes"), after.get("nodes")),
        _change(screen.bytes, before.get("weight_bytes"), after.get("weight_bytes")),
        screen.count(len(plain["rewrites"])) if plain else "-",
        screen.count(len(plain["rolled_back"])) if plain else "-",
        str(verification.get("status", "-")),
        f"{plain['seconds']:.2f}" if plain and not one.before else "-",
    )


def _plain(part: Any) -> dict[str, Any]:
    """A report or a part of one, whether it is one of ours or was read again."""
    if dataclasses.is_dataclass(part):
        return vars(part)
    return dict(cast("Mapping[str, Any]", part)) if part else {}


def _change(text: Callable[[int], str], before: int | None, after: int | None) -> str:
    return "-" if before is None or after is None else f"{text(before)} -> {text(after)}"
