"""`ncgopt bench`: how long a model takes, or two in comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ncgopt.report import SCHEMA_VERSION
from ncgopt.to_json import to_json

from . import options, render

if TYPE_CHECKING:
    from ncgopt.measure import Benchmark, Latency, Profile
    from ncgopt.measure.trace import Kernel

_TOP = 12  # nodes and operators shown


@click.command("bench")
@click.argument("first", type=options.PATH)
@click.argument("second", type=options.PATH, required=False)
@click.option("--threads", type=click.IntRange(min=1), default=1, help="Intra-op threads of each session (1).")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Time for all runs; loading comes on top (5).")
@click.option("--runs", type=click.IntRange(min=1), help="Runs per model, instead of --seconds.")
@click.option(
    "--processes", type=click.IntRange(min=1), default=3, help="Processes per model, one after the other (3)."
)
@click.option("--profile", is_flag=True, help="Show where the time goes, by operator and by node.")
@options.verification
@options.limits
@options.bind("Size of a symbolic dimension; pin what matters, the search takes small sizes.")
@options.FORMAT
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@options.volume
def command(
    first: Path,
    second: Path | None,
    threads: int,
    seconds: float | None,
    runs: int | None,
    processes: int,
    profile: bool,
    format_: str,
    as_json: bool,
    verbose: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Measure latency, load time and memory of FIRST, or of FIRST against SECOND, in ONNX Runtime.

    With all of its optimizations, without spinning threads. Each model has processes of its own, and blocks of
    their runs alternate. The ratio is above 1 where SECOND is faster; its 95 % interval is a bootstrap over pairs
    of blocks, and a difference within it, or below 1.5 %, is called none.
    """
    from ncgopt.measure import Effort, compare_latency

    if seconds is not None and runs is not None:
        raise click.UsageError("--seconds and --runs exclude each other")
    as_json = as_json or format_ == "json"
    settings = options.verify_settings({**given, "verify_bind": given["bind"]})
    models = [first] if second is None else [first, second]
    effort = Effort(seconds or Effort.seconds, runs, processes)
    with render.progress(verbose=verbose, quiet=quiet or as_json) as say:
        benchmark = compare_latency(models, settings, threads=threads, effort=effort, profile=profile, progress=say)
    if as_json:
        click.echo(to_json({"schema_version": SCHEMA_VERSION, **vars(benchmark)}))
    elif not quiet:
        _show(render.screen(), benchmark)


def _show(screen: render.Screen, benchmark: Benchmark) -> None:
    headers = ("model", "min ms", "p50", "p90", "p95", "p99", "load ms", "memory", "runs")
    screen.table(headers, [_row(screen, one) for one in benchmark.models])
    if benchmark.profile is not None:
        _show_profile(screen, benchmark.profile)
    pairs = [("threads", str(benchmark.threads)), ("data", benchmark.data)]
    if benchmark.binding:
        pairs.append(("binding", render.binding_text(benchmark.binding)))
    ratio = benchmark.ratio
    if ratio is not None:
        pairs.append(("load ratio", f"{benchmark.load_ratio:.3f}"))
        interval = f"95 % interval {ratio.low:.3f} to {ratio.high:.3f}, {ratio.pairs} pairs of blocks"
        pairs.append(("ratio", f"{ratio.value:.3f} ({interval})"))
        pairs.append(("verdict", _sentence(benchmark)))
    screen.pairs(pairs)


def _row(screen: render.Screen, one: Latency) -> tuple[str, ...]:
    times = (one.minimum, one.p50, one.p90, one.p95, one.p99, one.load)
    memory = "-" if one.peak_bytes is None else screen.bytes(one.peak_bytes)
    return (one.model, *(_ms(seconds) for seconds in times), memory, screen.count(one.runs))


def _sentence(benchmark: Benchmark) -> str:
    surely = benchmark.verdict in ("faster", "slower")
    return f"{benchmark.models[1].model} is {benchmark.verdict}" if surely else benchmark.verdict


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.4g}"


def _show_profile(screen: render.Screen, profile: Profile) -> None:
    """Time by operator, models side by side; then the nodes of each that take longest."""
    tables = [_by_operator(kernels) for kernels in profile.kernels]
    totals = [sum(kernel.seconds for kernel in kernels) for kernels in profile.kernels]
    names = sorted({name for table in tables for name in table}, key=lambda n: -max(_seconds(t, n) for t in tables))
    marks = ("A", "B") if len(tables) == 2 else ("",)
    headers = ["operator"]
    for mark in marks:
        headers += [f"{mark} ms".strip(), f"{mark} %".strip(), f"{mark} nodes".strip(), f"{mark} GFLOP/s".strip()]
    rows = [
        (name, *(cell for table, total in zip(tables, totals, strict=True) for cell in _cells(table.get(name), total)))
        for name in names[:_TOP]
    ]
    rows.append(
        ("all", *(cell for one, total in zip(profile.kernels, totals, strict=True) for cell in _cells(one, total)))
    )
    screen.line()
    screen.table(headers, rows)
    screen.line(f"the machine: {profile.machine / 1e9:.1f} GFLOP/s in a large MatMul with as many threads")
    for mark, kernels, total in zip(marks, profile.kernels, totals, strict=True):
        screen.line()
        rows = [
            (
                one.name or "(unnamed)",
                one.operator,
                _ms(one.seconds),
                _share(one.seconds, total),
                _rate([one]),
                one.shapes,
            )
            for one in kernels[:_TOP]
        ]
        screen.table((f"node {mark}".strip(), "operator", "ms", "%", "GFLOP/s", "inputs"), rows)
    screen.line()


def _by_operator(kernels: Iterable[Kernel]) -> dict[str, list[Kernel]]:
    found: dict[str, list[Kernel]] = {}
    for kernel in kernels:
        found.setdefault(kernel.operator, []).append(kernel)
    return found


def _seconds(table: dict[str, list[Kernel]], name: str) -> float:
    return sum(kernel.seconds for kernel in table.get(name, ()))


def _cells(kernels: Sequence[Kernel] | None, total: float) -> tuple[str, ...]:
    if not kernels:
        return ("-", "-", "-", "-")
    seconds = sum(kernel.seconds for kernel in kernels)
    return (_ms(seconds), _share(seconds, total), str(len(kernels)), _rate(kernels))


def _share(seconds: float, total: float) -> str:
    return f"{100 * seconds / total:.1f}" if total else "-"


def _rate(kernels: Sequence[Kernel]) -> str:
    """FLOP per second of the kernels whose FLOPs are known."""
    known = [kernel for kernel in kernels if kernel.flops is not None]
    seconds, flops = sum(kernel.seconds for kernel in known), sum(kernel.flops or 0 for kernel in known)
    return f"{flops / seconds / 1e9:.1f}" if seconds and flops else "-"
