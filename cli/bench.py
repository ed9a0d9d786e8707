"""`ncgopt bench`: how long a model takes, or two in comparison."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ncgopt.report import SCHEMA_VERSION
from ncgopt.to_json import to_json

from . import options, render

if TYPE_CHECKING:
    from ncgopt.measure import Benchmark


@click.command("bench")
@click.argument("first", type=options.PATH)
@click.argument("second", type=options.PATH, required=False)
@click.option("--threads", type=click.IntRange(min=1), default=1, help="Intra-op threads of each session (1).")
@click.option("--rounds", type=click.IntRange(min=1), help="Runs per model; chosen for about 5 seconds without it.")
@options.verification
@options.limits
@options.bind("Size of a symbolic dimension; pin what matters, the search takes small sizes.")
@options.FORMAT
@options.volume
def command(
    first: Path,
    second: Path | None,
    threads: int,
    rounds: int | None,
    format_: str,
    verbose: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Measure the latency of FIRST, or of FIRST against SECOND, in ONNX Runtime with all optimizations.

    Both run in one process and take turns, without spinning threads; medians are compared. The ratio is
    above 1 where SECOND is faster.
    """
    from ncgopt.measure import compare_latency

    settings = options.verify_settings({**given, "verify_bind": given["bind"]})
    models = [first] if second is None else [first, second]
    with render.progress(verbose=verbose, quiet=quiet or format_ == "json") as say:
        say("measuring " + " against ".join(str(path) for path in models))
        benchmark = compare_latency(models, settings, threads=threads, rounds=rounds)
    if format_ == "json":
        click.echo(to_json({"schema_version": SCHEMA_VERSION, **vars(benchmark)}))
    elif not quiet:
        _show(render.screen(), benchmark)


def _show(screen: render.Screen, benchmark: Benchmark) -> None:
    rows = [
        (one.model, *(f"{1000 * seconds:.4g}" for seconds in (one.median, one.minimum, one.spread)))
        for one in benchmark.models
    ]
    screen.table(("model", "median ms", "min ms", "spread ms"), rows)
    pairs = [("rounds", str(benchmark.rounds)), ("threads", str(benchmark.threads)), ("data", benchmark.data)]
    if benchmark.binding:
        pairs.append(("binding", render.binding_text(benchmark.binding)))
    if benchmark.ratio is not None:
        pairs.append(("ratio", f"{benchmark.ratio:.3f}"))
    screen.pairs(pairs)
