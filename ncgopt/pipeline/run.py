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
from ncgopt.rewrite import integrity
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


class Runner:
    """Runs passes on one model, each only where something changed since it last had nothing to do.

    The same pass on the same model does the same, so a pass that found nothing is not asked again until
    another one changed something. ApplyRules stops only when none of its rules fires any more: what it
    leaves behind needs no second look even where it changed something itself.

    Attributes:
        stats: of the model as it is now.
    """

    def __init__(self, model: ir.Model, session: Session, report: Report, progress: Progress) -> None:
        self._model, self._session, self._report, self._progress = model, session, report, progress
        self._settled: dict[Pass, int] = {}
        self._session.thorough = False
        self.stats = models.stats(model)

    def once(self, steps: Iterable[Pass]) -> bool:
        """Run each pass once, in order; whether any of them changed something."""
        return self._cycle(steps, 0)

    def to_fixpoint(self, steps: tuple[Pass, ...], max_cycles: int) -> None:
        """Repeat all passes until a whole cycle changes nothing, at most `max_cycles` times."""
        for cycle in range(1, max_cycles + 1):
            if not self._cycle(steps, cycle) and not self._confirm(steps, cycle):
                return
            if self._session.exhausted:
                return
        if steps:
            note = f"still changing after {max_cycles} cycles: stopped there; --max-cycles allows more"
            self._report.notes.append(note)

    def _confirm(self, steps: Iterable[Pass], cycle: int) -> bool:
        """Have the rules look everywhere, not only where something changed; whether that made a change."""
        self._session.thorough = True
        for step in steps:
            if isinstance(step, ApplyRules):
                self._settled.pop(step, None)
        changed = self._cycle([step for step in steps if isinstance(step, ApplyRules)], cycle)
        self._session.thorough = False
        return changed

    def _cycle(self, steps: Iterable[Pass], cycle: int) -> bool:
        changed = False
        session = self._session
        session.structure = integrity.snapshot(self._model)
        for step in steps:
            if session.exhausted:
                break
            if step.name not in session.avoided.sources and self._settled.get(step) != len(session.rewrites):
                changed |= self._run(step, cycle)
        session.structure = None
        return changed

    def _run(self, step: Pass, cycle: int) -> bool:
        self._progress(f"{step.name}, cycle {cycle}" if cycle else step.name)
        before, made, start = self.stats, len(self._session.rewrites), time.perf_counter()
        try:
            changed = _apply(step, self._model, self._session)
        except UnsoundRewrite as failure:
            failure.step = step.name
            raise
        after = self.stats = models.stats(self._model) if changed else before
        record = PassRecord(
            step.name, cycle, len(self._session.rewrites) - made, before.nodes + before.constants,
            after.nodes + after.constants, before.weight_bytes, after.weight_bytes, time.perf_counter() - start,
        )  # fmt: skip
        self._report.passes.append(record)
        if isinstance(step, ApplyRules):
            record.rules.update(step.fired)
        if not changed or isinstance(step, ApplyRules):
            self._settled[step] = len(self._session.rewrites)
        return changed


def _apply(step: Pass, model: ir.Model, session: Session) -> bool:
    """Run one pass; whether it changed something.

    Raises:
        UnsoundRewrite: it broke a promise, or failed by an exception of any kind that is not
            deliberate: bisection then finds the change at fault.
        StepEnded: it, or a rule that it applies, took too much time or memory.
    """
    try:
        return session.watchdog.run(step.name, session.seconds, lambda: step(model).modified)
    except NcgoptError as error:
        if not isinstance(error, WorkerDied):
            raise
        failure: Exception = error
    except Exception as error:
        failure = error
    raise UnsoundRewrite(f"pass {step.name} raised {describe(failure)}; this is a bug in it") from failure
