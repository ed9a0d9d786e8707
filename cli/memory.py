"""What `ncgopt inspect --memory` shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncgopt.report import SCHEMA_VERSION

from . import render

if TYPE_CHECKING:
    from ncgopt.memory import MemoryReport

_LARGEST = 12  # buffers shown
_EXPRESSIONS = 6


def report(model: Path, bind: dict[str, int], *, measure: bool, feeds: tuple[Path, ...]) -> MemoryReport:
    """Predict, and measure where asked for."""
    from ncgopt.memory import inspect_memory
    from ncgopt.settings import VerifySettings

    return inspect_memory(model, VerifySettings(bind=bind, feeds=feeds), measure=measure)


def as_data(model: Path, found: MemoryReport) -> dict[str, Any]:
    """The report for `--format json`."""
    prediction = found.prediction
    return {
        "schema_version": SCHEMA_VERSION,
        "model": str(model),
        "binding": dict(found.binding),
        "peak_bytes": prediction.peak_bytes,
        "peak_step": prediction.peak,
        "peak_expressions": found.expressions,
        "measured_bytes": found.measured,
        "steps": prediction.steps,
        "buffers": prediction.buffers,
        "unknown": prediction.unknown,
    }


def show(screen: render.Screen, model: Path, found: MemoryReport) -> None:
    """The report for people."""
    prediction = found.prediction
    step = prediction.peak
    at = f" at {render.binding_text(found.binding)}" if found.binding else ""
    pairs = [("model", str(model)), ("steps", screen.count(len(prediction.steps)))]
    if step >= 0:
        where = prediction.steps[step]
        pairs += [
            ("peak", f"{screen.bytes(where.total)}{at}, predicted"),
            ("peak step", f"{step + 1}  {where.operator}  {where.node}"),
        ]
        if where.workspace:
            pairs.append(("workspace", f"{screen.bytes(where.workspace)} of it, which the kernel takes for itself"))
    if found.measured is not None:
        pairs.append(("measured", screen.bytes(found.measured)))
    if found.binding:
        pairs += [("formula", text) for text in found.expressions[:_EXPRESSIONS]]
        if len(found.expressions) > _EXPRESSIONS:
            pairs.append(("formula", f"and {len(found.expressions) - _EXPRESSIONS} more; --format json has all"))
    if prediction.unknown:
        pairs.append(("unknown", f"sizes of {screen.count(len(prediction.unknown))} values, which count as nothing"))
    screen.pairs(pairs)
    rows = [
        (held.value, held.operator, screen.bytes(held.bytes), str(held.first + 1), str(held.last + 1))
        for held in prediction.alive(step)[:_LARGEST]
    ]
    screen.line()
    screen.table(("held at the peak", "made by", "bytes", "from step", "to step"), rows)
