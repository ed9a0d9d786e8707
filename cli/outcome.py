"""What `optimize` and `verify` print at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .render import Screen, binding_text

if TYPE_CHECKING:
    from ncgopt.report import (
        Measurement,
        ModelStats,
        NotProfitable,
        OutputDifference,
        PassRecord,
        Report,
        RolledBack,
        Search,
        Verification,
        WindowFigures,
    )

_MAX_BINDINGS = 6
_MAX_CONTRADICTIONS = 4


@dataclass
class _Total:
    """What one pass did in all its cycles."""

    rewrites: int = 0
    nodes: int = 0
    bytes: int = 0
    seconds: float = 0.0
    rules: dict[str, int] = field(default_factory=dict[str, int])


def show(screen: Screen, report: Report, verbose: bool, *, refusals: bool) -> None:
    """Everything worth knowing about one optimized model."""
    screen.line(f"{report.model} -> {report.output}" if report.output else report.model)
    totals = _totals(report.passes)
    shown = {name: total for name, total in totals.items() if total.rewrites or verbose}
    screen.table(
        ("pass", "rewrites", "nodes", "bytes", "seconds"),
        [_row(screen, name, total) for name, total in _with_rules(shown)],
    )
    pairs = _sizes(screen, report.before, report.after)
    if report.opset is not None:
        changed = sum(report.opset.rewritten.values())
        pairs.append(("opset", f"{report.opset.before} -> {report.opset.after}, {screen.count(changed)} nodes adapted"))
    pairs += [("repaired", f"{repair.kind}: {repair.where}: {repair.detail}") for repair in report.repairs]
    pairs += [("contradiction", one.text) for one in report.contradictions[:_MAX_CONTRADICTIONS]]
    if len(report.contradictions) > _MAX_CONTRADICTIONS:
        more = len(report.contradictions) - _MAX_CONTRADICTIONS
        pairs.append(("contradiction", f"and {more} more; `inspect --facts` and the report have all"))
    pairs += [("lost", line) for line in report.lost]
    pairs += [("verified", line) for line in verification_lines(report.verification)]
    if report.lossy is not None:
        pairs += [("lossy step", line) for line in verification_lines(report.lossy)]
    pairs += [("ROLLED BACK", rolled_back_text(one)) for one in report.rolled_back]
    if report.rolled_back:
        pairs.append(("ROLLED BACK", f"everything else was kept; `ncgopt bisect {report.model}` writes a bug report"))
    if report.search is not None:
        pairs += [("search", line) for line in search_lines(report.search)]
    pairs += [("not profitable", not_profitable_text(one)) for one in report.not_profitable]
    if report.measurement is not None:
        pairs += [("measured", line) for line in measurement_lines(report.measurement)]
    if report.peak is not None:
        at = f" at {binding_text(report.peak.binding)}" if report.peak.binding else ""
        pairs.append(
            ("peak", f"{screen.bytes(report.peak.before)} -> {screen.bytes(report.peak.after)}{at}, predicted")
        )
    pairs += [("note", note) for note in report.notes]
    pairs.append((report.status, report.output or "nothing was written"))
    screen.pairs([*pairs, ("seconds", f"{report.seconds:.2f}")])
    if refusals:
        screen.table(
            ("rule", "guard", "count", "example"),
            [(refusal.rule, refusal.guard, str(refusal.count), refusal.example) for refusal in report.refusals],
        )


def rolled_back_text(one: RolledBack) -> str:
    """What was left out, and why."""
    match one.scope:
        case "place":
            what = f"{one.source} at {one.where}"
        case "everywhere":
            what = f"{one.source} everywhere" + (f", last at {one.where}" if one.where != one.source else "")
        case "rest":
            what = f"{one.source} at {one.where} and every change after it"
    return f"{what}: {one.reason}"


def search_lines(search: Search) -> list[str]:
    """What was explored, and each sequence that was found."""
    rest = "" if search.complete else ", not all in the time"
    lines = [f"{search.windows} windows explored{rest}, {len(search.found)} found that pay on paper"]
    for one in search.found:
        measured = (
            "not measured" if one.ratio is None else f"measured {one.ratio:.2f} ({one.low:.2f} to {one.high:.2f})"
        )
        kept = "taken" if one.kept else "left out"
        lines.append(f"{', then '.join(one.steps)}: on paper {one.estimated:.2f} times as fast, {measured}, {kept}")
    return lines


def not_profitable_text(one: NotProfitable) -> str:
    """What was taken back, and what it brought."""
    where = "by itself" if one.measured == "window" else "in the whole model"
    return f"{one.source} at {one.where}: {one.ratio:.3f} times as fast {where} ({one.low:.3f} to {one.high:.3f})"


def measurement_lines(found: Measurement) -> list[str]:
    """How fast the result is, and what that rests on."""
    lines: list[str] = []
    if found.ratio is not None and found.low is not None and found.high is not None:
        interval = f"95 % interval {found.low:.3f} to {found.high:.3f}"
        text = f"{found.verdict}: original over result {found.ratio:.3f} ({interval})"
        lines.append(f"{text}, {found.threads} threads")
    if found.binding:
        lines.append(f"at {binding_text(found.binding)}")
    if found.windows or found.unmeasured:
        rest = f", {found.unmeasured} could not be measured" if found.unmeasured else ""
        lines.append(f"{found.windows} windows with rewrites, {found.remembered} of them remembered{rest}")
    return lines + ([found.reason] if found.reason else [])


def verification_lines(verification: Verification) -> list[str]:
    """Verdict, what it rests on, and how close it was; one line each."""
    lines = [verification.status + (f": {verification.reason}" if verification.reason else "")]
    lines += verification.interface
    if verification.runs:
        bindings = list(dict.fromkeys(binding_text(run.binding) for run in verification.runs))
        known = [binding for binding in bindings if binding]
        more = f" and {len(known) - _MAX_BINDINGS} more" if len(known) > _MAX_BINDINGS else ""
        where = f" at {'; '.join(known[:_MAX_BINDINGS])}{more}" if known else ""
        lines.append(f"{len(verification.runs)} runs{where}")
    if verification.reference and verification.reference != "float64":
        lines.append(f"no float64 reference: {verification.reference}")
    if verification.windows is not None:
        lines.append(_windows_text(verification.windows))
    if verification.worst is not None:
        what = "output" if verification.windows is None else "value"
        lines.append(f"worst {what} {difference_text(verification.worst)}")
    return lines


def _windows_text(found: WindowFigures) -> str:
    """How much of the result was compared in windows."""
    grown = f", {found.grown} made larger" if found.grown else ""
    return (
        f"by windows: {found.unchanged} of {found.nodes} nodes unchanged, {found.windows} windows around the others, "
        f"at most {found.largest} nodes{grown}"
    )


def difference_text(difference: OutputDifference) -> str:
    """How far one output is off, and how far it may be."""
    if difference.detail:
        return f"{difference.output}: {difference.detail}"
    if difference.max_abs == 0:
        return f"{difference.output}: equal"
    text = f"{difference.output}: differs by {difference.max_abs:.3g}, allowed {difference.limit:.3g}"
    if difference.error is None or difference.own_error is None:
        return text
    allowed = f", allowed {difference.error_limit:.3g}" if difference.error_limit is not None else ""
    return f"{text}; from float64 by {difference.error:.3g}, the original by {difference.own_error:.3g}{allowed}"


def _totals(records: Iterable[PassRecord]) -> dict[str, _Total]:
    totals: dict[str, _Total] = {}
    for record in records:
        total = totals.setdefault(record.name, _Total())
        total.rewrites += record.rewrites
        total.nodes += record.nodes_after - record.nodes_before
        total.bytes += record.bytes_after - record.bytes_before
        total.seconds += record.seconds
        for rule, count in record.rules.items():
            total.rules[rule] = total.rules.get(rule, 0) + count
    return totals


def _with_rules(totals: dict[str, _Total]) -> list[tuple[str, _Total | int]]:
    """Every pass, and below it the rules that it applied, with their counts."""
    rows: list[tuple[str, _Total | int]] = []
    for name, total in totals.items():
        rows.append((name, total))
        rows += [(f"  {rule}", count) for rule, count in total.rules.items()]
    return rows


def _row(screen: Screen, name: str, total: _Total | int) -> Sequence[str]:
    if isinstance(total, int):
        return (name, screen.count(total), "", "", "")
    return (
        name,
        screen.count(total.rewrites),
        screen.change(total.nodes, screen.count),
        screen.change(total.bytes, screen.bytes),
        f"{total.seconds:.2f}",
    )


def _sizes(screen: Screen, before: ModelStats | None, after: ModelStats | None) -> list[tuple[str, str]]:
    if before is None or after is None:
        return []
    pairs = [
        ("nodes", f"{screen.count(before.nodes)} -> {screen.count(after.nodes)}"),
        ("weights", f"{screen.bytes(before.weight_bytes)} -> {screen.bytes(after.weight_bytes)}"),
    ]
    if after.file_bytes:
        pairs.append(("file", f"{screen.bytes(before.file_bytes)} -> {screen.bytes(after.file_bytes)}"))
    return pairs
