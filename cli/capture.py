"""`ncgopt capture`: a dynamic program as a static graph, compared with it, then optimized."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ncgopt.report import SCHEMA_VERSION

from . import options, render
from .files import check_target, same, write_report

if TYPE_CHECKING:
    from ncgopt.capture import CaptureReport
    from ncgopt.capture.oracle import Agreement


@click.command("capture")
@click.argument("source")
@click.option("-o", "--output", type=options.PATH, required=True, metavar="OUT.onnx", help="Where to write.")
@click.option(
    "--input", "inputs", multiple=True, metavar="NAME:DTYPE[DIMS]", help="What goes in, as x:f32[batch,3,224,224]."
)
@click.option("--example", type=options.PATH, metavar="FILE.npz", help="Data of your own, an array per input.")
@click.option(
    "--range", "ranges", multiple=True, metavar="NAME=LOW..HIGH", help="Least and greatest size of an open dimension."
)
@click.option(
    "--framework",
    type=click.Choice(["torch", "keras", "tensorflow", "jax"]),
    help="What a function is written in.",
)
@click.option("--opset", type=click.IntRange(min=7), metavar="N", help="Operator set to export to.")
@click.option("--bindings", type=click.IntRange(min=1), default=5, metavar="N", help="Sets of sizes to compare at (5).")
@click.option("--allow-fixed", is_flag=True, help="Take a graph in which an open dimension has become fixed.")
@click.option("--trust", is_flag=True, help="Read files that may run code when they are read.")
@click.option("--seed", type=int, default=0, metavar="N", help="Seed of generated data (0).")
@click.option("--optimize/--no-optimize", default=True, help="Optimize what was captured (default).")
@click.option("--target", type=click.Choice(["onnx", "onnxruntime"]), help="Operators the result may use.")
@click.option("--preset", metavar="NAME", help="Preset of passes and rules; see `ncgopt passes`.")
@click.option("--config", type=options.PATH, metavar="FILE", help="Settings file; else the nearest ncgopt.toml.")
@click.option(
    "--measure-seconds",
    type=click.FloatRange(min=0),
    default=2.0,
    metavar="N",
    help="Time for latencies; 0: none (2).",
)
@click.option("--report", type=options.PATH, metavar="FILE.json", help="Write a report.")
@options.volume
def command(
    source: str,
    output: Path,
    inputs: Sequence[str],
    example: Path | None,
    ranges: Sequence[str],
    measure_seconds: float,
    report: Path | None,
    verbose: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Make a static ONNX graph of SOURCE, and show that it computes the same.

    SOURCE is package.module:name or file.py:name (a module, a model, a function, or what makes one when called),
    a .pt2, .keras or (with --trust) .pt file, or the folder of a SavedModel. The graph is compared with the program
    at sizes that it was not traced with, then optimized and compared again; nothing is written where they differ (3).
    """
    from ncgopt.capture import CaptureSettings, capture, parse
    from ncgopt.capture.sizes import parse_range

    check_target(output)
    if report is not None:
        check_target(report)
        if same(report, output):
            raise click.UsageError(f"--report {report} would overwrite the model")
    limits = {name: (low, high) for name, low, high in map(parse_range, ranges)}
    chosen = options.choose({"config": given["config"], "target": given["target"], "preset": given["preset"]}).settings
    settings = CaptureSettings(
        inputs=tuple(map(parse, inputs)), example=example, ranges=limits, framework=given["framework"],
        opset=given["opset"], bindings=given["bindings"], allow_fixed=given["allow_fixed"], trust=given["trust"],
        seed=given["seed"], measure=measure_seconds, optimize=chosen if given["optimize"] else None,
    )  # fmt: skip
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow tells of every library it has not
    with render.progress(verbose=verbose, quiet=quiet) as say:
        done = capture(source, output, settings, progress=say)
    if report is not None:
        write_report(report, {"schema_version": SCHEMA_VERSION, **vars(done)})
    if not quiet:
        _show(render.screen(), done)


def _show(screen: render.Screen, report: CaptureReport) -> None:
    screen.line(f"{report.source} -> {report.output}")
    pairs: list[tuple[str, str]] = [("program", report.framework)]
    pairs += [("input", f"{spec.name} {spec.dtype}[{', '.join(map(str, spec.dims))}]") for spec in report.inputs]
    interface = report.interface
    if interface is not None:
        pairs += [
            ("output", f"{name} [{', '.join('?' if dim is None else str(dim) for dim in dims)}]")
            for name, dims in interface.outputs.items()
        ]
        pairs += [("unused", f"{name}: the static graph has no such input") for name in interface.unused]
    pairs += [("note", note) for note in report.notes]
    for label, found in (("static", report.static), ("optimized", report.optimized)):
        if found:
            pairs.append((label, _agreement(found)))
    pairs += [("refused", f"{_sizes(sizes)}: by the program itself: {why}") for sizes, why in report.refused]
    before, after = (report.report.before, report.report.after) if report.report is not None else (None, None)
    if before is not None and after is not None:
        pairs.append(("nodes", f"{screen.count(before.nodes)} -> {screen.count(after.nodes)}"))
    pairs += _latencies(report)
    pairs.append(("seconds", f"{report.seconds:.2f}"))
    screen.pairs(pairs)


def _agreement(found: Sequence[Agreement]) -> str:
    worst = max((one.worst.max_abs for one in found if one.worst is not None), default=0.0)
    return f"as the program at {', '.join(_sizes(one.sizes) or one.origin for one in found)}; worst {worst:.3g}"


def _latencies(report: CaptureReport) -> list[tuple[str, str]]:
    found = report.latencies
    if found is None:
        return []
    where = _sizes(found.sizes)
    times = [("program", found.program), ("static", found.static), ("optimized", found.optimized)]
    text = ", ".join(f"{name} {1000 * seconds:.3g} ms" for name, seconds in times if seconds is not None)
    return [("latency", f"{text}{f' at {where}' if where else ''}")]


def _sizes(sizes: Any) -> str:
    return " ".join(f"{name}={size}" for name, size in sizes.items())
