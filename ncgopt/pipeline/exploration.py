"""Searching a model for rewrites that only pay together, before the rules are applied to it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ncgopt import facts
from ncgopt import model as models
from ncgopt.facts import symbols
from ncgopt.pipeline.profit import trades
from ncgopt.pipeline.run import Progress
from ncgopt.pipeline.trial import Trials
from ncgopt.report import FoundSequence, Search
from ncgopt.rewrite.avoided import Avoided
from ncgopt.runtime import Worker, WorkerDied
from ncgopt.runtime.session import LoadError, RunError
from ncgopt.runtime.watchdog import StepEnded

if TYPE_CHECKING:
    from ncgopt.measure.ratio import Ratio
    from ncgopt.search.explore import Discovery


def explore(trials: Trials, avoided: Avoided, folder: Path, progress: Progress) -> Search:
    """Search, and have all runs begin with what was found and measured to be faster.

    Args:
        trials: the runs over the model; their `steps` are set.
        avoided: changes that are never made.
        folder: for temporary files.
        progress: called with one line whenever something begins.
    """
    from ncgopt.search.estimate import relative
    from ncgopt.search.explore import Moves
    from ncgopt.search.sweep import Sweep, sequences

    settings = trials.settings
    begun = time.monotonic()
    start = trials.begin(avoided, progress)
    progress("searching")
    found: list[FoundSequence] = []

    with Worker(memory=settings.memory_limit) as worker:
        judge = _Judge(trials, worker, folder)

        def confirm(one: Discovery, sizes: Mapping[str, int]) -> bool:
            progress(f"searching: {' then '.join(sequences(one.steps))}")
            ratio = judge.ratio(one, sizes)
            kept = ratio is not None and ratio.verdict == "faster"
            measured = (None, None, None) if ratio is None else (ratio.value, ratio.low, ratio.high)
            found.append(FoundSequence(sequences(one.steps), relative(one.greedy, one.costs), *measured, kept))
            return kept

        rules = start.rules.rules
        forced = frozenset(rule.name for rule in rules if trades(rule.name))
        bind = {**settings.verification.bind, **settings.bind}
        sweep = Sweep(start.model, start.session, Moves(rules, forced, settings.target, avoided), bind, confirm)
        try:
            start.session.watchdog.run("search", settings.search + settings.timeout, lambda: sweep.run(settings.search))
        except StepEnded:
            sweep.complete = False  # what was found until then is found
    trials.steps = tuple(sweep.steps)
    return Search(sweep.windows, sweep.states, tuple(found), sweep.complete, time.monotonic() - begun)


class _Judge:
    """Runs what a search found."""

    def __init__(self, trials: Trials, worker: Worker, folder: Path) -> None:
        self._trials, self._worker, self._folder = trials, worker, folder

    def ratio(self, one: Discovery, sizes: Mapping[str, int]) -> Ratio | None:
        """Time of what greedy rules make over time of what was found; None where that cannot be measured."""
        paths = self._folder / "greedy.onnx", self._folder / "found.onnx"
        shapes: dict[str, tuple[int, ...]] = {}
        facts.survey(one.before)
        for value in one.before.graph.inputs:
            dims = [symbols.evaluate(dim, dict(sizes)) for dim in facts.shape(value) or ()]
            known = tuple(dim for dim in dims if dim is not None)
            if len(known) < len(dims):
                return None
            shapes[value.name or ""] = known
        for path, model in zip(paths, (one.before, one.after), strict=True):
            models.write_beside(model, path, links=False)
        settings = self._trials.settings
        arguments = (*paths, shapes, self._trials.verify_settings, settings.measurement.threads)
        try:
            return self._worker.call("ncgopt.search.remote:race_windows", *arguments, timeout=settings.timeout)
        except (LoadError, RunError, WorkerDied):
            return None
