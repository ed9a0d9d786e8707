"""`ncgopt inspect`: what is in a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ncgopt.report import SCHEMA_VERSION
from ncgopt.to_json import to_json

from . import memory, options, parallel, render

if TYPE_CHECKING:
    from ncgopt.cost import GraphCost
    from ncgopt.facts.coverage import Coverage, Lost
    from ncgopt.inspect import Inspection

_MAX_LOST = 20


@click.command("inspect")
@click.argument("model", type=options.PATH)
@options.bind("Size of a symbolic dimension, for the FLOPs; those left out count as 1.")
@click.option("--trust-links", is_flag=True, help="Accept external data behind links.")
@click.option("--facts", is_flag=True, help="How much can be proven about types and shapes, and where it ends.")
@click.option("--memory", "with_memory", is_flag=True, help="What a run holds at its peak, weights left out.")
@click.option("--parallel", "with_parallel", is_flag=True, help="What could run at the same time: work, span, width.")
@click.option("--measure", is_flag=True, help="With --memory or --parallel: also run the model and see what it takes.")
@click.option("--feeds", type=options.PATH, help="With --measure: the inputs (.npz) instead of generated ones.")
@click.option("--plot", type=options.PATH, metavar="FILE.svg", help="With --parallel: draw it.")
@options.FORMAT
def command(
    model: Path,
    bind: dict[str, int],
    trust_links: bool,
    facts: bool,
    with_memory: bool,
    with_parallel: bool,
    measure: bool,
    feeds: Path | None,
    plot: Path | None,
    format_: str,
) -> None:
    """Show operators, weights, interface, FLOPs and bytes of MODEL. Without --memory and --measure, nothing is run.

    A multiply-add counts as 2 FLOPs. Operators whose FLOPs are not known are listed as unknown and
    are not part of the sum.

    With --facts: the share of computed values whose shape is known in full (sizes, symbols or
    expressions over symbols), and the values where that knowledge is lost first.

    With --memory: the largest amount of memory that a run holds for what it computes, predicted for the graph
    that ONNX Runtime makes of the model, in the order in which it executes it, with the buffers that it shares;
    as a formula over the symbolic dimensions too. The arena, which keeps and rounds up, comes on top.

    With --parallel: the time of all nodes (work), of the longest chain of them (span), and so how many workers could
    be busy; on paper for the graph of the file, or with --measure as ONNX Runtime runs its own.
    """
    import ncgopt

    if (measure or feeds) and not (with_memory or with_parallel):
        raise click.UsageError("--measure and --feeds belong to --memory or --parallel")
    if feeds and not measure:
        raise click.UsageError("--feeds belongs to --measure")
    if with_memory and with_parallel:
        raise click.UsageError("--memory and --parallel exclude each other")
    if plot is not None and (not with_parallel or plot.suffix.lower() != ".svg"):
        raise click.UsageError("--plot goes with --parallel, and writes .svg")
    if with_parallel:
        given = (feeds,) if feeds else ()
        width = parallel.report(model, bind, measure=measure, feeds=given, trust_links=trust_links)
        if plot is not None:
            parallel.draw(plot, model, width)
        if format_ == "json":
            click.echo(to_json(parallel.as_data(model, width)))
        else:
            parallel.show(render.screen(), model, width)
        return
    if with_memory:
        found = memory.report(model, bind, measure=measure, feeds=(feeds,) if feeds else ())
        if format_ == "json":
            click.echo(to_json(memory.as_data(model, found)))
        else:
            memory.show(render.screen(), model, found)
        return

    inspection = ncgopt.inspect(model, bind, trust_links=trust_links, facts=facts)
    if format_ == "json":
        click.echo(to_json({"schema_version": SCHEMA_VERSION, **vars(inspection)}))
        return
    _show(render.screen(), inspection)


def _show(screen: render.Screen, found: Inspection) -> None:
    stats, cost = found.stats, found.cost
    pairs = [
        ("model", found.model),
        ("producer", f"{found.producer_name} {found.producer_version}".strip() or "unknown"),
        ("ir version", str(found.ir_version)),
        *(("opset", f"{domain or 'ai.onnx'} {version}") for domain, version in found.opsets.items()),
        ("file", screen.bytes(stats.file_bytes)),
        *(("external data", f"{file.location} {screen.bytes(file.bytes)}") for file in found.external_data),
        ("parameters", screen.count(stats.parameters)),
        ("weights", screen.bytes(stats.weight_bytes)),
        ("nodes", screen.count(stats.nodes)),
        ("constants", screen.count(stats.constants)),
        ("initializers", screen.count(stats.initializers)),
        *(("input", f"{port.name}  {port.text}") for port in found.inputs),
        *(("output", f"{port.name}  {port.text}") for port in found.outputs),
        ("dynamic dims", ", ".join(found.dynamic_dims) or "none"),
        *(("function", f"{function.name}  {function.nodes} nodes") for function in found.functions),
        *(("metadata", f"{key}={value}") for key, value in found.metadata.items()),
        *(("repair", f"{repair.kind}: {repair.where}: {repair.detail}") for repair in found.repairs),
        *_cost_pairs(screen, cost),
        *(_fact_pairs(screen, found.facts) if found.facts is not None else ()),
        *(("contradiction", one.text) for one in found.contradictions),
    ]
    screen.pairs(pairs)
    screen.line()
    rows = [
        (
            name,
            screen.count(one.nodes),
            screen.flops(one.flops) if one.unknown < one.nodes else "?",
            screen.bytes(one.bytes_moved) if one.unsized < one.nodes else "?",
            screen.bytes(one.weight_bytes),
            str(one.unknown) if one.unknown else "",
        )
        for name, one in cost.operators.items()
    ]
    screen.table(("operator", "nodes", "flops", "bytes moved", "weights", "unknown"), rows)
    if found.facts is not None and found.facts.lost:
        screen.line()
        screen.table(("lost", "value", "known shape", "operator", "node", "cause"), _lost_rows(found.facts.lost))


def _cost_pairs(screen: render.Screen, cost: GraphCost) -> list[tuple[str, str]]:
    at = f" at {render.binding_text(cost.bindings)}" if cost.bindings else ""
    unknown = f", and {cost.unknown} nodes unknown" if cost.unknown else ""
    return [
        ("flops", f"{screen.flops(cost.flops)}{at}{unknown}"),
        ("bytes moved", screen.bytes(cost.bytes_moved)),
        *(("note", note) for note in cost.notes),
    ]


def _fact_pairs(screen: render.Screen, found: Coverage) -> list[tuple[str, str]]:
    def share(known: int, total: int) -> str:
        percent = 100 * known / total if total else 100.0
        return f"{percent:.2f} % ({screen.count(known)} of {screen.count(total)})"

    return [
        ("known shapes", share(found.shapes, found.values)),
        ("known types", share(found.types, found.values)),
        ("known contents", share(found.contents, found.small_integers) + " of small integer tensors"),
    ]


def _lost_rows(lost: Sequence[Lost]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [
        (
            one.what,
            one.value,
            "?" if one.shape is None else f"[{','.join(str(dim) for dim in one.shape)}]",
            one.operator,
            one.node or "-",
            one.cause,
        )
        for one in lost[:_MAX_LOST]
    ]
    if len(lost) > _MAX_LOST:
        rows.append(("...", f"and {len(lost) - _MAX_LOST} more; --format json has all", "", "", "", ""))
    return rows
