"""What `ncgopt inspect --parallel` shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncgopt.errors import CannotWrite
from ncgopt.report import SCHEMA_VERSION

from . import render

if TYPE_CHECKING:
    from ncgopt.parallel import ParallelReport

_STEPS = 12  # of the critical path shown
_LEVEL = 8  # names of the widest level shown


def report(
    model: Path, bind: dict[str, int], *, measure: bool, feeds: tuple[Path, ...], trust_links: bool
) -> ParallelReport:
    """Work and span, modelled, or measured where asked for."""
    from ncgopt.parallel import inspect_parallel
    from ncgopt.settings import VerifySettings

    settings = VerifySettings(bind=bind, feeds=feeds)
    return inspect_parallel(model, settings, measure=measure, trust_links=trust_links)


def draw(place: Path, model: Path, found: ParallelReport) -> None:
    """Write the picture.

    Raises:
        CannotWrite: that is not possible.
    """
    from ncgopt.parallel import svg

    try:
        place.write_text(svg(found.steps, found.found, f"{model}, {found.source}"), encoding="utf-8")
    except OSError as error:
        raise CannotWrite(f"{place}: {error.strerror}") from error


def as_data(model: Path, found: ParallelReport) -> dict[str, Any]:
    """The report for `--format json`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "model": str(model),
        "source": found.source,
        "binding": dict(found.binding),
        "work_seconds": found.found.work,
        "span_seconds": found.found.span,
        "parallelism": found.found.parallelism,
        "speedups": {str(workers): times for workers, times in found.speedups.items()},
        "levels": found.found.depth,
        "widest_level": found.found.level,
        "critical_path": found.found.critical,
        "operators": found.operators,
        "steps": found.steps,
        "untold": found.untold,
    }


def show(screen: render.Screen, model: Path, found: ParallelReport) -> None:
    """The report for people."""
    one = found.found
    at = f" at {render.binding_text(found.binding)}" if found.binding else ""
    how = "on paper" if found.source == "modelled" else "measured in ONNX Runtime's own graph, one thread"
    level = [_name(found, place) for place in one.level[:_LEVEL]]
    more = f", and {len(one.level) - _LEVEL} more" if len(one.level) > _LEVEL else ""
    pairs = [
        ("model", str(model)),
        ("nodes", f"{screen.count(len(found.steps))} in {screen.count(one.depth)} levels"),
        ("work", f"{_ms(one.work)} ms{at}, {how}"),
        ("span", f"{_ms(one.span)} ms, {len(one.critical)} nodes on the critical path"),
        ("parallelism", f"{one.parallelism:.2f}"),
        *(
            ("at most", f"{times:.2f} times as fast with {workers} workers")
            for workers, times in found.speedups.items()
        ),
        ("widest level", f"{len(one.level)} nodes: {', '.join(level)}{more}"),
    ]
    if found.untold:
        pairs.append(("unknown", f"time of {screen.count(found.untold)} nodes, which count as nothing"))
    screen.pairs(pairs)
    screen.line()
    rows = [
        (part.operator, screen.count(part.nodes), _ms(part.seconds), _share(part.seconds, one.span))
        for part in found.operators
    ]
    screen.table(("on the critical path", "nodes", "ms", "%"), rows)
    screen.line()
    longest = sorted(one.critical, key=lambda place: -found.steps[place].seconds)[:_STEPS]
    rows = [
        (found.steps[p].name or "(unnamed)", found.steps[p].operator, _ms(found.steps[p].seconds),
         _share(found.steps[p].seconds, one.span))
        for p in longest
    ]  # fmt: skip
    screen.table(("longest there", "operator", "ms", "%"), rows)


def _name(found: ParallelReport, place: int) -> str:
    step = found.steps[place]
    return f"{step.operator} {step.name}".strip()


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.4g}"


def _share(seconds: float, total: float) -> str:
    return f"{100 * seconds / total:.1f}" if total else "-"
