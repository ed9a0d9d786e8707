"""Running a plan on a model in memory, to a fixpoint, writing down what happened."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable, Iterable

import onnx_ir as ir

from ncgopt import facts
from ncgopt import model as models
from ncgopt.errors import NcgoptError, UnsoundRewrite, Usage
from ncgopt.passes import Pass
from ncgopt.passes.apply_rules import ApplyRules
from ncgopt.report import PassRecord, Report
from ncgopt.rewrite.session import Session, all_graphs, all_nodes, describe
from ncgopt.runtime import WorkerDied

Progress = Callable[[str], None]


def protect(model: ir.Model, globs: Iterable[str]) -> None:
    """Mark what `--keep` names, and what the model's training information refers to.

    Raises:
        Usage: a glob matches no node and no initializer.
    """
    pinned = models.pinned_names(model)
    unused = set(globs)
    for thing in _protectable(model):
        matching = {glob for glob in globs if fnmatch.fnmatchcase(thing.name or "", glob)}
        unused -= matching
        if matching or (isinstance(thing, ir.Value) and thing.name in pinned):
            facts.keep(thing)
    if unused:
        raise Usage(f"--keep {min(unused)!r} matches no node and no initializer")


def _protectable(model: ir.Model) -> list[ir.Node | ir.Value]:
    initializers = [v for graph in all_graphs(model) for v in graph.initializers.values()]
    return [*all_nodes(model), *initializers]


def run_once(model: ir.Model, steps: Iterable[Pass], session: Session, report: Report, progress: Progress) -> bool:
    """Run each pass once, in order; whether any of them changed something."""
    return _cycle(model, steps, session, report, 0, progress)


def run_to_fixpoint(
    model: ir.Model, steps: tuple[Pass, ...], session: Session, report: Report, max_cycles: int, progress: Progress
) -> None:
    """Repeat all passes until a whole cycle changes nothing, at most `max_cycles` times."""
    for cycle in range(1, max_cycles + 1):
        if not _cycle(model, steps, session, report, cycle, progress) or session.exhausted:
            return
    if steps:
        report.notes.append(f"still changing after {max_cycles} cycles: stopped there; --max-cycles allows more")


def _cycle(
    model: ir.Model, steps: Iterable[Pass], session: Session, report: Report, cycle: int, progress: Progress
) -> bool:
    changed = False
    for step in steps:
        if session.exhausted:
            break
        if step.name in session.avoided.sources:
            continue
        progress(f"{step.name}, cycle {cycle}" if cycle else step.name)
        before, made, start = models.stats(model), len(session.rewrites), time.perf_counter()
        try:
            changed |= _apply(step, model)
        except UnsoundRewrite as failure:
            failure.step = step.name
            raise
        seconds, after = time.perf_counter() - start, models.stats(model)
        record = PassRecord(
            step.name, cycle, len(session.rewrites) - made, before.nodes + before.constants,
            after.nodes + after.constants, before.weight_bytes, after.weight_bytes, seconds,
        )  # fmt: skip
        if isinstance(step, ApplyRules):
            record.rules.update(step.fired)
        report.passes.append(record)
    return changed


def _apply(step: Pass, model: ir.Model) -> bool:
    """Run one pass; whether it changed something.

    Raises:
        UnsoundRewrite: it broke a promise, or failed by an exception of any kind that is not
            deliberate: bisection then finds the change at fault.
    """
    try:
        return step(model).modified
    except NcgoptError as error:
        if not isinstance(error, WorkerDied):
            raise
        failure: Exception = error
    except Exception as error:
        failure = error
    raise UnsoundRewrite(f"pass {step.name} raised {describe(failure)}; this is a bug in it") from failure
