"""`ncgopt diff`: in what two models differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ncgopt.errors import ExitCode
from ncgopt.to_json import to_json

from . import options, outcome, render
from .files import check_target, same, write_text

if TYPE_CHECKING:
    import onnx_ir as ir

    from ncgopt.diff.compare import Difference
    from ncgopt.settings import VerifySettings

_MOST = 20  # lines of a kind; -v shows all


@click.command("diff")
@click.argument("left", type=options.PATH, metavar="A")
@click.argument("right", type=options.PATH, metavar="B")
@click.option("--numbers/--no-numbers", default=True, help="Also run both and compare what they compute (default).")
@click.option("--trust-links", is_flag=True, help="Accept external data behind links.")
@options.verification
@options.limits
@options.bind("Size of a symbolic dimension in the runs; others are varied.")
@click.option("--report", type=options.PATH, metavar="FILE", help="Also write a page (.html), or JSON.")
@options.FORMAT
@options.volume
def command(
    left: Path,
    right: Path,
    numbers: bool,
    trust_links: bool,
    report: Path | None,
    format_: str,
    verbose: bool,
    quiet: bool,
    **given: Any,
) -> int:
    """Say in what the models A and B differ: nodes, weights, interface, operator sets, texts, and results.

    Nodes are matched by what they compute, and by the names of their outputs where that differs; names of nodes alone
    are no difference. Numbers are compared as `verify` does, where both models can be fed the same.

    Exit code 0: no difference, and the same results within the tolerance of their type. 1: they differ.
    """
    if report is not None:
        check_target(report)
        if same(report, left) or same(report, right):
            raise click.UsageError(f"--report {report} would overwrite a model")
    settings = options.verify_settings({**given, "verify_bind": given["bind"]})
    with render.progress(verbose=verbose, quiet=quiet or format_ == "json") as say:
        found, models = _compare(left, right, trust_links=trust_links)
        if numbers:
            say("running both")
            found = _with_numbers(found, left, right, settings)
    if report is not None:
        _write(report, found, models)
    if format_ == "json":
        click.echo(_json(found))
    elif not quiet:
        _show(render.screen(), found, verbose=verbose)
    differs = not found.identical or (found.verification is not None and found.verification.status == "failed")
    return ExitCode.FINDINGS if differs else ExitCode.DONE


def _compare(left: Path, right: Path, *, trust_links: bool) -> tuple[Difference, tuple[ir.Model, ir.Model]]:
    import ncgopt
    from ncgopt.diff.compare import compare
    from ncgopt.page.drawing import read

    seen = [ncgopt.inspect(path, trust_links=trust_links) for path in (left, right)]
    models = read(left, trust_links=trust_links), read(right, trust_links=trust_links)
    return compare(*models, *seen), models


def _with_numbers(found: Difference, left: Path, right: Path, settings: VerifySettings) -> Difference:
    import ncgopt
    from ncgopt.diff.compare import interfaces_agree

    if not interfaces_agree(found):
        return dataclasses.replace(found, not_compared="inputs or outputs differ, so results cannot be compared")
    return dataclasses.replace(found, verification=ncgopt.verify(left, right, settings))


def _write(report: Path, found: Difference, models: tuple[ir.Model, ir.Model]) -> None:
    if report.suffix.lower() not in (".html", ".htm"):
        write_text(report, _json(found) + "\n")
        return
    from ncgopt.page.difference import difference_page

    write_text(report, difference_page(found, *models))


def _json(found: Difference) -> str:
    from ncgopt.report import SCHEMA_VERSION

    return to_json({"schema_version": SCHEMA_VERSION, **vars(found)})


def _show(screen: render.Screen, found: Difference, *, verbose: bool) -> None:
    a, b, nodes = found.left_stats, found.right_stats, found.nodes
    screen.pairs(
        [
            ("A", found.left),
            ("B", found.right),
            ("nodes", f"{screen.count(a.nodes)} -> {screen.count(b.nodes)}"),
            ("weights", f"{screen.bytes(a.weight_bytes)} -> {screen.bytes(b.weight_bytes)}"),
            ("file", f"{screen.bytes(a.file_bytes)} -> {screen.bytes(b.file_bytes)}"),
            ("the same", f"{screen.count(nodes.same)} nodes"),
        ]
    )
    rows = [(one.operator, str(one.left), str(one.right), f"{one.right - one.left:+d}") for one in found.operators]
    screen.table(("operator", "A", "B", "difference"), rows)
    screen.table(
        ("what", "name", "A", "B"),
        _some([(one.what, one.name, one.left or "-", one.right or "-") for one in found.facts], verbose, 4),
    )
    screen.table(
        ("changed", "A", "B", "differs in"),
        _some([(one.value, one.left, one.right, one.why) for one in nodes.changed], verbose, 4),
    )
    screen.table(("only in A",), _some([(title,) for title in nodes.removed], verbose, 1))
    screen.table(("only in B",), _some([(title,) for title in nodes.added], verbose, 1))
    pairs = [("structure", "no difference" if found.identical else "differs")]
    if found.verification is not None:
        pairs += [("numbers", line) for line in outcome.verification_lines(found.verification)]
    elif found.not_compared:
        pairs.append(("numbers", found.not_compared))
    screen.pairs(pairs)


def _some(rows: list[tuple[str, ...]], verbose: bool, columns: int) -> Sequence[Sequence[str]]:
    if verbose or len(rows) <= _MOST:
        return rows
    more = f"... and {len(rows) - _MOST} more; -v shows all"
    return [*rows[:_MOST], (more, *[""] * (columns - 1))]
