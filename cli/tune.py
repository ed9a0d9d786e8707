"""`ncgopt tune`: session settings that make a model faster here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ncgopt.report import SCHEMA_VERSION
from ncgopt.to_json import to_json

from . import options, render
from .files import check_target, same

if TYPE_CHECKING:
    from ncgopt.tune import Requests, TuneReport

_TRIED = 12  # settings shown
_BUSY = 0.5  # load per core from which on that is said


@click.command("tune")
@click.argument("model", type=options.PATH)
@click.option(
    "--budget", type=click.FloatRange(0, min_open=True), default=60.0, metavar="SECONDS", help="For all runs (60)."
)
@click.option("--streams", type=click.IntRange(min=1), default=1, metavar="N", help="Requests at once (1).")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads within a node at most (all cores).")
@click.option("--flush-denormals", is_flag=True, help="Try that too; numbers below 1e-37 may become zero.")
@click.option("--ort-config", type=options.PATH, metavar="OUT.onnx", help="Also write a copy with `ort_config` inside.")
@click.option("--dry-run", is_flag=True, help="Measure and tell, and write nothing.")
@options.bind("Size of a symbolic dimension; pin what matters, the search takes small sizes.")
@options.verification
@options.limits
@options.FORMAT
@options.volume
def command(
    model: Path,
    budget: float,
    streams: int,
    threads: int | None,
    flush_denormals: bool,
    ort_config: Path | None,
    dry_run: bool,
    format_: str,
    verbose: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Find the ONNX Runtime settings with which MODEL runs fastest on this machine; writes MODEL.session.json.

    Threads within and between nodes, execution mode, spinning, arena, memory pattern, prepacking and graph
    optimization are tried in rounds, each of which leaves the worse half out. What is best is raced against ONNX
    Runtime's defaults once more; where it is not faster beyond noise, the defaults stay, and that is said.
    ncgopt.session("MODEL") loads a model with what was found. With --streams, what counts is how many requests
    are answered, else how long one takes.
    """
    from ncgopt.tune import sidecar_of, tune, write

    place = sidecar_of(model)
    if not dry_run:
        check_target(place)
        if ort_config is not None:
            if same(ort_config, model):
                raise click.UsageError(f"--ort-config {ort_config} is the model itself; give the copy another name")
            if same(ort_config, place):
                raise click.UsageError(f"--ort-config {ort_config} is where the settings go; name the copy otherwise")
            check_target(ort_config)
    settings = options.verify_settings({**given, "verify_bind": given["bind"]})
    with render.progress(verbose=verbose, quiet=quiet or format_ == "json") as say:
        report = tune(
            model,
            settings,
            budget=budget,
            streams=streams,
            threads=threads,
            flush_denormals=flush_denormals,
            progress=say,
        )
    if not dry_run:
        write(report, model, place)
        if ort_config is not None:
            _write_copy(model, ort_config, report)
    if format_ == "json":
        click.echo(to_json({"schema_version": SCHEMA_VERSION, **vars(report)}))
    elif not quiet:
        _show(render.screen(), report, [] if dry_run else [place, *([ort_config] if ort_config else [])])


def _write_copy(model: Path, copy: Path, report: TuneReport) -> None:
    from ncgopt import model as models

    loaded = models.load(model)
    loaded.model.metadata_props["ort_config"] = report.chosen.as_ort_config()
    models.save(loaded.model, copy, external_data="auto", input_external=loaded.external)


def _show(screen: render.Screen, report: TuneReport, written: Sequence[Path]) -> None:
    rows = [("the defaults", *_cells(report.default))]
    if report.tuned is not None and report.raced is not None:
        from ncgopt.tune.candidates import text

        rows.append((text(report.raced), *_cells(report.tuned)))
    screen.table(("settings", "p50 ms", "p95", "p99", "per second", "load ms", "requests"), rows)
    screen.line()
    tried = [
        (
            one.text,
            f"{one.ratio.value:.3f}" if one.ratio is not None and not one.failed else "-",
            str(one.ratio.pairs) if one.ratio is not None else "0",
            one.failed,
        )
        for one in report.tried[:_TRIED]
    ]
    screen.table(("tried", "times as fast", "pairs", ""), tried)
    if report.left_out:
        screen.line(f"{report.left_out} settings were left out, as the budget is too small for them")
    screen.line()
    pairs = [
        ("streams", str(report.streams)),
        ("cores", str(report.cores)),
        ("parallelism", f"{report.parallelism:.2f} on paper"),
        ("data", report.data),
        *([("binding", render.binding_text(report.binding))] if report.binding else []),
        *_busy(report),
        ("verdict", report.verdict),
        ("settings", report.text),
        *(("written", str(path)) for path in written),
        ("seconds", f"{report.seconds:.1f}"),
    ]
    screen.pairs(pairs)


def _busy(report: TuneReport) -> list[tuple[str, str]]:
    """Threads that spin lose most on a busy machine, and cost nothing on a quiet one."""
    if report.load is None or report.load < _BUSY * report.cores:
        return []
    return [("note", f"the machine was busy (load {report.load:.1f}): on a quiet one other settings may be best")]


def _cells(one: Requests) -> tuple[str, ...]:
    times = [f"{1000 * seconds:.4g}" for seconds in (one.p50, one.p95, one.p99)]
    return (*times, f"{one.per_second:.4g}", f"{1000 * one.load:.4g}", str(one.count))
