"""`ncgopt prune`: fewer weights or channels, measured, under a gate of quality."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ncgopt.errors import CannotWrite, GateNotMet
from ncgopt.report import SCHEMA_VERSION
from ncgopt.to_json import to_json

from . import options, render

if TYPE_CHECKING:
    from ncgopt.prune.report import PruneReport
    from ncgopt.prune.settings import PruneSettings


def _SHARE(value: object) -> float:  # noqa: N802 - a type of click's, as `int` is
    """`0.01` or `1%`."""
    text = str(value).strip()
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a number nor a percentage") from None


def _layers(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, float]:
    """`GLOB=SHARE`, repeated."""
    found: dict[str, float] = {}
    for value in values:
        glob, equals, share = value.rpartition("=")
        if not equals or not glob:
            raise click.BadParameter(f"{value!r} is not GLOB=SHARE", ctx, param)
        found[glob] = _SHARE(share)
    return found


@click.command("prune")
@click.argument("model", type=options.PATH)
@click.option("-o", "--output", type=options.PATH, metavar="OUT", help="Where to write; else MODEL.pruned.onnx.")
@click.option("--structured", is_flag=True, default=None, help="Remove channels, heads, hidden units; else weights.")
@click.option(
    "--unit",
    type=click.Choice(["channels", "blocks"]),
    help="With --structured: channels (default), or whole residual blocks, of which --sparsity is then the share.",
)
@click.option(
    "--method",
    type=click.Choice(["magnitude", "wanda", "obs"]),
    help="What matters: size; size times input; error after the rest made up for it (default).",
)
@click.option("--sparsity", type=_SHARE, metavar="SHARE", help="Share that goes, 0.5 or 50% (0.5).")
@click.option(
    "--layer", "layers", multiple=True, callback=_layers, metavar="GLOB=SHARE", help="A share of its own; 0: none."
)
@click.option(
    "--scope", type=click.Choice(["global", "layer"]), help="Rank weights over all layers, or by layer (layer)."
)
@click.option(
    "--allocation", type=click.Choice(["uniform", "auto"]), help="auto: less where it costs more, as measured."
)
@click.option("--pattern", metavar="PATTERN", help="unstructured (default), N:M as in 2:4, block, block:RxC.")
@click.option(
    "--schedule",
    type=click.Choice(["sequential", "constant", "polynomial"]),
    help="Layer by layer (default; obs only), all at once, or layer by layer in --steps with a growing share.",
)
@click.option("--steps", type=int, metavar="N", help="Steps of the schedule, each calibrated anew (1).")
@click.option(
    "--stages",
    type=int,
    metavar="N",
    help="obs: calibrate at most N times from inputs to outputs, so that layers make up for those before (12).",
)
@click.option("--keep", multiple=True, metavar="GLOB", help="Nodes and weights that nothing may touch.")
@click.option("--align", type=int, metavar="N", help="Widths become multiples of this (8).")
@click.option(
    "--target-latency", type=_SHARE, metavar="SHARE", help="Prune until latency is this part of the original's."
)
@click.option(
    "--target-size", type=_SHARE, metavar="SHARE", help="Prune until the file is this part of the original's."
)
@click.option("--data", metavar="SOURCE", help="Calibration data: FILE.npz, a folder of such, or module:function.")
@click.option("--eval-data", metavar="SOURCE", help="Data for the quality; without it, the last quarter of --data.")
@click.option(
    "--synthetic", is_flag=True, default=None, help="Do with random data; the quality shown is then not yours."
)
@click.option("--labels", metavar="WHICH", help="Labels: FILE.npy, or the name of an array in the data.")
@click.option("--samples", type=int, metavar="N", help="Samples to use at most (256).")
@click.option("--batch", type=int, metavar="N", help="Samples that run together where the model leaves that open (8).")
@click.option("--metric", metavar="NAME", help="top1 (default), cosine, mse, or module:function.")
@click.option("--max-drop", type=_SHARE, metavar="SHARE", help="Write nothing if quality falls by more, as in 1%.")
@click.option("--damping", type=float, help="Added to the diagonal of Gram matrices, relative to its mean (0.01).")
@click.option(
    "--sparse-storage", is_flag=True, default=None, help="Store weights sparse where that makes the file smaller."
)
@click.option("--optimize/--no-optimize", default=None, help="Run `optimize` before and after (default).")
@click.option("--threads", type=int, metavar="N", help="Threads of the latency measured (1).")
@click.option("--measure-seconds", type=float, metavar="N", help="Time for measuring latency; 0: do not (2).")
@click.option("--seed", type=int, help="Seed of random data (0).")
@click.option("--config", type=options.PATH, metavar="FILE", help="Settings file; else the nearest ncgopt.toml.")
@click.option("--analyze", is_flag=True, help="Only show what pruning each layer or group alone would cost.")
@click.option(
    "--plot",
    type=options.PATH,
    metavar="FILE",
    help="With --analyze: draw it, .svg or .png (that needs matplotlib: pip install ncgopt[plot]).",
)
@click.option("--dry-run", is_flag=True, help="Do everything but write.")
@click.option("--report", type=options.PATH, metavar="FILE.json", help="Write a report, on failure of the gate too.")
@options.volume
def command(
    model: Path,
    output: Path | None,
    analyze: bool,
    plot: Path | None,
    dry_run: bool,
    report: Path | None,
    config: Path | None,
    verbose: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Remove what matters little from MODEL, calibrated on data, and say what it cost and bought.

    The result computes another function: --metric and --max-drop say how much worse it may be, and past
    that nothing is written (exit code 6). Zeros make a file compress better; only --structured makes it faster.
    """
    # Structured pruning solves many small systems, for which a pool of threads is many times slower than none.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if plot is not None and (not analyze or plot.suffix.lower() not in (".svg", ".png")):
        raise click.UsageError("--plot goes with --analyze, and writes .svg or .png")
    if plot is not None and plot.suffix.lower() == ".png":
        from ncgopt.prune.plot import check_png

        check_png()  # before the work, not after it
    settings = _settings(config, given)
    if analyze:
        _analyze(model, settings, plot, report, verbose=verbose, quiet=quiet)
        return
    from ncgopt.prune.run import prune

    try:
        with render.progress(verbose=verbose, quiet=quiet) as say:
            done = prune(model, settings, output=output, dry_run=dry_run, progress=say)
    except GateNotMet as error:
        found: Any = error.report
        if found is not None:
            _write(report, found)
            if not quiet:
                _show(render.screen(), found)
        raise
    _write(report, done)
    if not quiet:
        _show(render.screen(), done)


def _analyze(
    model: Path, settings: PruneSettings, plot: Path | None, report: Path | None, *, verbose: bool, quiet: bool
) -> None:
    from ncgopt.prune.analyze import analyze
    from ncgopt.prune.plot import png, svg

    with render.progress(verbose=verbose, quiet=quiet) as say:
        found = analyze(model, settings, progress=say)
    if report is not None:
        _write_text(
            report, to_json({"schema_version": SCHEMA_VERSION, "model": str(model), "sensitivity": found}) + "\n"
        )
    if plot is not None:
        title = f"{model}: {settings.method}, {settings.unit if settings.structured else 'weights'}"
        if plot.suffix.lower() == ".png":
            _write_bytes(plot, png(found, title))
        else:
            _write_bytes(plot, svg(found, title).encode())
    if quiet:
        return
    headers = ("pruned alone", "size", *(f"{point.share:.0%}" for point in found[0].points))
    rows = [(one.name, str(one.weight), *(f"{point.error:.2e}" for point in one.points)) for one in found]
    screen = render.screen()
    screen.table(headers, rows)
    screen.line("error of the output relative to its variance, by share pruned")


def _settings(config: Path | None, given: dict[str, Any]) -> PruneSettings:
    from ncgopt import configuration

    base = configuration.load(config).settings.prune
    changes = {name: value for name, value in given.items() if value not in (None, (), {})}
    changes["keep"] = (*base.keep, *given["keep"])
    changes["layers"] = {**base.layers, **given["layers"]}
    if changes.get("synthetic"):
        changes.setdefault("data", None)
    elif "data" in changes:
        changes["synthetic"] = False
    return dataclasses.replace(base, **changes)


def _write(path: Path | None, report: PruneReport) -> None:
    if path is not None:
        _write_text(path, to_json({"schema_version": SCHEMA_VERSION, **vars(report)}) + "\n")


def _write_text(path: Path, text: str) -> None:
    _write_bytes(path, text.encode())


def _write_bytes(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise CannotWrite(f"{path}: {error.strerror}") from error


def _show(screen: render.Screen, report: PruneReport) -> None:
    screen.line(f"{report.model} -> {report.output or 'nothing written'}")
    if report.structured:
        rows = [(g.name, str(g.before), str(g.after), str(g.unit)) for g in report.groups]
        screen.table((report.unit, "before", "after", "each"), rows)
    else:
        rows = [
            (one.name, one.operator, str(one.weights), str(one.zeros), f"{one.sparsity:.4f}") for one in report.layers
        ]
        screen.table(("layer", "operator", "weights", "zeros", "sparsity"), rows)
    _show_sizes(screen, report)
    pairs: list[tuple[str, str]] = [("method", report.method), ("sparsity", f"{report.sparsity:.4f}")]
    if report.quality is not None:
        q = report.quality
        gate = f", allowed {100 * report.max_drop:.2f}" if report.max_drop is not None else ""
        pairs.append(
            ("quality", f"{q.metric} {q.original:.4f} -> {q.pruned:.4f}, {100 * q.drop:.2f} points lost{gate}")
        )
        pairs.append(("quality", ", ".join(f"{name} {value:.4g}" for name, value in q.others.items())))
        pairs.append(("quality", f"on {q.samples} samples"))
    if report.latency is not None:
        found = report.latency
        times = f"{1000 * found.before:.4g} ms -> {1000 * found.after:.4g} ms"
        pairs.append(("latency", f"{times}, {found.ratio:.2f}x ({found.low:.2f} to {found.high:.2f}), {found.verdict}"))
    pairs += [
        ("curve", f"{p.sparsity:.3f}: {100 * p.drop:.2f} points, {p.parameters} parameters") for p in report.curve
    ]
    pairs += [("left", line) for line in report.left]
    pairs += [("note", line) for line in report.notes]
    pairs += [("status", report.status), ("seconds", f"{report.seconds:.2f}")]
    screen.pairs(pairs)


def _show_sizes(screen: render.Screen, report: PruneReport) -> None:
    if report.before is None or report.after is None:
        return
    before, after = vars(report.before), vars(report.after)
    shown = {
        "parameters": screen.count,
        "nonzero": screen.count,
        "weight_bytes": screen.bytes,
        "file_bytes": screen.bytes,
    }
    shown |= {"compressed_bytes": screen.bytes, "flops": screen.flops}
    rows = [
        (name.replace("_", " "), show(before[name]), show(after[name]), f"{after[name] / max(before[name], 1):.4f}")
        for name, show in shown.items()
    ]
    screen.table(("size", "before", "after", "ratio"), rows)
