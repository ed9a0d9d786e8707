"""The whole way: check, calibrate, prune, optimize, measure, and write only what passes the gate."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ncgopt import facts
from ncgopt import model as models
from ncgopt.errors import GateNotMet
from ncgopt.prune import accounting, quality
from ncgopt.prune.allocation import for_total
from ncgopt.prune.layers import find_layers
from ncgopt.prune.pattern import Pattern
from ncgopt.prune.pruner import Pruner
from ncgopt.prune.report import LayerOutcome, PruneReport, TradeOff
from ncgopt.prune.sensitivity import sweep
from ncgopt.prune.settings import PruneSettings
from ncgopt.prune.sparse import store_sparse
from ncgopt.prune.target import Search
from ncgopt.runtime.process import Worker

Progress = Callable[[str], None]
_CURVE = (0.25, 0.5, 0.75)  # of what was asked for


def prune(
    model: str | os.PathLike[str],
    settings: PruneSettings,
    *,
    output: Path | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> PruneReport:
    """Prune the model at `model` and write the result, unless its quality is worse than `settings.max_drop` allows.

    Args:
        model: an ONNX file.
        settings: what to do.
        output: where to write; `MODEL.pruned.onnx` beside the input by default.
        dry_run: do everything but write.
        progress: called with one line whenever something begins.

    Raises:
        Usage: settings, data or metric make no sense for this model.
        InputUnreadable, ModelInvalid: the model or the data cannot be read.
        Inconclusive: the model does not run on the data.
        GateNotMet: the quality is not met; `error.report` holds the trade-off curve. Nothing was written.
    """
    start = time.perf_counter()
    source = Path(model)
    target = models.destination(source, output, "pruned")
    Pattern.parse(settings.pattern)
    with tempfile.TemporaryDirectory(prefix="ncgopt-") as name, Worker() as worker:
        pruner = Pruner(source, settings, worker, Path(name), progress or (lambda _: None))
        report = _prune(pruner, settings)
        report.seconds = time.perf_counter() - start
        if report.status == "gate-not-met":
            error = GateNotMet(_gate_message(report))
            error.report = report  # pyright: ignore[reportAttributeAccessIssue] - the command line shows it
            raise error
        if dry_run:
            report.status = "dry-run"
        else:
            _write(Path(report.output), target)
            report.status, report.output = "written", str(target)
    report.seconds = time.perf_counter() - start
    return report


def _prune(pruner: Pruner, settings: PruneSettings) -> PruneReport:
    report = PruneReport(
        str(pruner.source), settings.method, settings.structured, settings.unit, max_drop=settings.max_drop
    )
    report.data = {"source": settings.data or "synthetic", "samples": pruner.samples}
    if settings.synthetic:
        report.notes.append("calibrated on random data: the quality shown is not that on yours")
    pruned = pruner.pruned(settings, _own_shares(pruner, settings))
    final = pruner.optimized(pruned.path, "final.onnx")
    report.groups, report.left = list(pruned.groups), list(pruned.left)
    report.notes += pruned.notes
    if settings.sparse_storage:
        final, note = store_sparse(final, pruner.folder / "sparse.onnx", pruner.worker)
        report.notes.append(note)
    report.layers = _layers(final, pruned.asked)
    report.before = accounting.size_of(pruner.source, pruner.binding)
    report.after = accounting.size_of(final, pruner.binding)
    report.sparsity = _sparsity(report)
    report.quality = pruner.quality([final])[0]
    report.output = str(final)
    if not quality.gate(report.quality, settings.max_drop):
        report.status, report.output = "gate-not-met", ""
        report.curve = _curve(pruner, settings, report)
        return report
    if settings.measure_seconds > 0:
        pruner.say("measuring latency")
        report.latency = pruner.latency(final, settings.measure_seconds)
        _say_what_zeros_buy(report, settings)
    return report


def _own_shares(pruner: Pruner, settings: PruneSettings) -> Mapping[str, float]:
    """Shares by layer or group where they are to be found out; none where one holds for all."""
    has_target = settings.target_size is not None or settings.target_latency is not None
    if settings.unit == "blocks" or (not has_target and settings.allocation == "uniform"):
        return {}
    curves = sweep(pruner, settings)
    return Search(pruner, settings, curves).run() if has_target else for_total(curves, settings.sparsity)


def _layers(path: Path, asked: Mapping[str, float]) -> list[LayerOutcome]:
    loaded = models.load(path)
    facts.survey(loaded.model)
    return [
        LayerOutcome(layer.name, layer.operator, layer.size, layer.zeros, asked.get(layer.weight.name or ""))
        for layer in find_layers(loaded.model)
    ]


def _sparsity(report: PruneReport) -> float:
    if report.structured:
        before = sum(group.before * group.unit for group in report.groups)
        return 1 - sum(group.after * group.unit for group in report.groups) / before if before else 0.0
    chosen = [layer for layer in report.layers if layer.asked is not None]
    return sum(layer.zeros for layer in chosen) / max(sum(layer.weights for layer in chosen), 1)


def _curve(pruner: Pruner, settings: PruneSettings, report: PruneReport) -> list[TradeOff]:
    """Quality at parts of what was asked for; what was asked for comes last."""
    assert report.after is not None
    assert report.quality is not None
    found: list[TradeOff] = []
    if settings.pattern == "unstructured" or settings.structured:
        for part in _CURVE:
            share = settings.sparsity * part
            easier = dataclasses.replace(settings, sparsity=share, target_latency=None, target_size=None)
            path = pruner.pruned(easier).path
            parameters = models.stats(models.load(path).model, 0).parameters
            found.append(TradeOff(share, pruner.quality([path])[0].drop, parameters))
    return [*found, TradeOff(report.sparsity, report.quality.drop, report.after.parameters)]


def _gate_message(report: PruneReport) -> str:
    assert report.quality is not None
    lost, metric = report.quality.drop, report.quality.metric
    points = ", ".join(f"{100 * p.sparsity:.0f} % costs {100 * p.drop:.2f}" for p in report.curve)
    return (
        f"{report.model}: {metric} falls by {100 * lost:.2f} points, more than {100 * (report.max_drop or 0):.2f}; "
        f"nothing was written ({points})"
    )


def _say_what_zeros_buy(report: PruneReport, settings: PruneSettings) -> None:
    assert report.latency is not None
    if not settings.structured and report.latency.ratio < 1.1:
        report.notes.append(
            f"zeros bring no latency on this runtime ({report.latency.ratio:.2f}x): it multiplies by them as by any "
            "number; --structured removes channels and does, --sparse-storage or compression makes the file smaller"
        )


def _write(result: Path, target: Path) -> None:
    """Give the result its place, at once or not at all."""
    loaded = models.load(result)
    models.save(loaded.model, target, input_external=loaded.external)
