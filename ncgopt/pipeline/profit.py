"""Leaving out what does not pay on this machine.

Rules say that a rewrite is right, and that it is less work on paper. Whether it is less time, ONNX Runtime decides: it
fuses and lays out by itself, and what takes that from it costs more than it saves. So what trades one kind of work
for another is run before and after, and kept only where it wins; what costs nothing on paper is kept unless it
loses. Then the whole model is run: the parts may be faster and the whole not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ncgopt.errors import Inconclusive, Slower
from ncgopt.pipeline.catalog import rule_by_name
from ncgopt.pipeline.culprit import first_bad
from ncgopt.pipeline.rollback import Rollback
from ncgopt.pipeline.run import Progress
from ncgopt.pipeline.trial import Trial, Trials
from ncgopt.report import Measurement, NotProfitable, Report, Rewrite
from ncgopt.rewrite.avoided import place_of
from ncgopt.runtime import Worker, WorkerDied
from ncgopt.runtime.session import LoadError, RunError

if TYPE_CHECKING:
    from ncgopt.measure.gain import Gain
    from ncgopt.measure.ratio import Ratio
    from ncgopt.verify.cases import Case
    from ncgopt.verify.inputs import Survey

_ROUNDS = 8  # of taking back and measuring again
_MAX_TAKEN = 4  # rewrites taken back because the whole model is slower
_SHARE, _LEAST, _MOST = 0.1, 1.0, 6.0  # of the time for one measurement of the whole model; seconds
_PROCESSES = 2
_FREE = "ncgopt.rules.shape."  # rules that only remove nodes and sizes


def trades(source: str) -> bool:
    """Whether what a rule does may cost time; what only removes nodes or sizes cannot, and passes do no arithmetic."""
    rule = rule_by_name().get(source)
    return rule is not None and not source.startswith("eliminate-") and not type(rule).__module__.startswith(_FREE)


class Profit:
    """Measurements of the runs over one model.

    Args:
        trials: the runs.
        rollback: what is left out of them; grows.
        progress: called with one line whenever something begins.
    """

    def __init__(self, trials: Trials, rollback: Rollback, progress: Progress) -> None:
        self._trials, self._rollback, self._progress = trials, rollback, progress
        self._settings = trials.settings.measurement
        self._start = time.monotonic()
        self._taken: list[NotProfitable] = []
        self._found = Measurement(self._settings.threads)
        self._inputs: tuple[Survey, Case] | None = None

    @property
    def left(self) -> float:
        """Seconds left of what the user allows."""
        return self._settings.seconds - (time.monotonic() - self._start)

    def refine(self, trial: Trial) -> Trial:
        """A run without the rewrites that do not pay by themselves; the same run where all do."""
        try:
            for _ in range(_ROUNDS):
                gains = self._gains(trial)
                losing = self._losing(trial, gains)
                if not losing:
                    break
                for rewrite, ratio in losing:
                    self._take_back(rewrite, ratio, "window")
                trial = self._trials.run(self._rollback.limit, self._rollback.avoided, self._progress)
                if trial.failure is not None:
                    break
        except Inconclusive as error:
            self._found = replace(self._found, reason=str(error))
        return trial

    def settle(self, trial: Trial, good: Callable[[Trial], Trial], *, take_back: bool) -> Trial:
        """A run whose whole model is not slower than the original, as far as that can be reached.

        Args:
            trial: the run to begin with.
            good: verifies a run, and gives it or one without what was at fault.
            take_back: whether to leave out rewrites, or only to measure.

        Raises:
            Inconclusive: there is a gate, and it cannot be measured whether it is met.
        """
        try:
            for _ in range(_MAX_TAKEN + 1):
                ratio = self._whole(trial)
                self._note(ratio)
                if ratio.verdict != "slower" or not take_back or not self._take_back_one(trial, ratio):
                    break
                trial = good(self._trials.run(self._rollback.limit, self._rollback.avoided, self._progress))
        except Inconclusive as error:
            if self._trials.settings.fail_if_slower is not None:
                raise
            self._found = replace(self._found, reason=str(error))
        return trial

    def tell(self, report: Report) -> None:
        """Write down what was measured, and taken back."""
        reason = self._found.reason
        if not reason and self.left <= 0:
            reason = f"the {self._settings.seconds:g} seconds for measuring were used up"
        report.measurement = replace(self._found, reason=reason, seconds=time.monotonic() - self._start)
        report.not_profitable = list(self._taken)

    def check(self, report: Report) -> None:
        """See to the gate.

        Raises:
            Slower: the result takes longer than allowed.
        """
        allowed, found = self._trials.settings.fail_if_slower, report.measurement
        if allowed is None or found is None or found.ratio is None:
            return
        if found.verdict == "slower" and 1 / found.ratio - 1 > allowed:
            raise Slower(
                f"{self._trials.source}: the result takes {100 / found.ratio - 100:.1f} % longer than the original "
                f"(95 % interval of original over result {found.low:.3f} to {found.high:.3f}, {found.threads} "
                f"threads), and {100 * allowed:g} % are allowed; nothing was written"
            )

    def _whole(self, trial: Trial) -> Ratio:
        from ncgopt.measure.blocks import Effort, measure
        from ncgopt.measure.ratio import ratio_of

        self._progress("measuring the whole model")
        survey, case = self._data()
        seconds = min(_MOST, max(_LEAST, _SHARE * self._settings.seconds))
        series = measure(
            [self._trials.original, self._trials.keep(trial)], survey, case, self._trials.verify_settings,
            threads=self._settings.threads, effort=Effort(seconds, processes=_PROCESSES),
        )  # fmt: skip
        return ratio_of(series[0].blocks, series[1].blocks)

    def _note(self, ratio: Ratio) -> None:
        self._found = replace(self._found, ratio=ratio.value, low=ratio.low, high=ratio.high, verdict=ratio.verdict)

    def _data(self) -> tuple[Survey, Case]:
        """Inputs, found once."""
        from ncgopt.measure.latency import inputs_of

        if self._inputs is None:
            settings = self._trials.verify_settings
            self._inputs = inputs_of(self._trials.original, replace(settings, feeds=settings.feeds[:1]))
            case = self._inputs[1]
            self._found = replace(self._found, data=case.source, binding=dict(case.binding))
        return self._inputs

    def _gains(self, trial: Trial) -> list[Gain]:
        """What the rewrites of a run are worth, window by window."""
        from ncgopt.measure.windows import Request

        places = frozenset(place_of(rewrite.where) for rewrite in self._candidates(trial))
        if not places:
            return []
        self._progress("measuring rewrites")
        survey, case = self._data()
        request = Request(survey, case, self._settings.threads, places, self.left)
        paths: tuple[Path, Path] = self._trials.reference(trial), self._trials.keep(trial)
        settings = self._trials.verify_settings
        with Worker(memory=settings.memory_limit) as worker:
            try:
                gains: list[Gain] = worker.call(
                    "ncgopt.measure.windows:measure_windows", *paths, request, settings,
                    timeout=max(self.left, 0) + settings.timeout,
                )  # fmt: skip
            except (LoadError, RunError, WorkerDied) as error:
                raise Inconclusive(f"rewrites were not measured: {error}") from error
        self._count(gains)
        return gains

    def _count(self, gains: Sequence[Gain]) -> None:
        """Of later rounds, everything that stayed as it was is remembered: the first round counts."""
        if self._found.windows or self._found.unmeasured:
            return
        known = [gain for gain in gains if gain.ratio is not None]
        remembered = sum(gain.remembered for gain in known)
        self._found = replace(
            self._found, windows=len(known), remembered=remembered, unmeasured=len(gains) - len(known)
        )

    def _candidates(self, trial: Trial) -> list[Rewrite]:
        """What may be taken back."""
        avoided = self._rollback.avoided
        return [r for r in trial.report.rewrites if trades(r.source) and not avoided.covers(r.source, r.where)]

    def _losing(self, trial: Trial, gains: Sequence[Gain]) -> list[tuple[Rewrite, Ratio]]:
        """Of each window that does not pay what is to be taken back: all that the least successful of its rules did."""
        by_place: dict[str, list[Rewrite]] = {}
        for rewrite in self._candidates(trial):
            by_place.setdefault(place_of(rewrite.where), []).append(rewrite)
        here = [[r for place in gain.places for r in by_place.get(place, ())] for gain in gains]
        success: dict[str, list[float]] = {}
        for gain, rewrites in zip(gains, here, strict=True):
            for source in {rewrite.source for rewrite in rewrites} if gain.ratio is not None else ():
                success.setdefault(source, []).append(math.log(gain.ratio.value if gain.ratio else 1.0))
        found: dict[int, tuple[Rewrite, Ratio]] = {}
        for gain, rewrites in zip(gains, here, strict=True):
            if gain.pays or gain.ratio is None or not rewrites:
                continue
            worst = min({r.source for r in rewrites}, key=lambda s: (sum(success[s]) / len(success[s]), s))
            found.update({r.index: (r, gain.ratio) for r in rewrites if r.source == worst})
        return list(found.values())

    def _take_back_one(self, trial: Trial, ratio: Ratio) -> bool:
        """Have the first rewrite left out with which the whole model is slower; False without one, or without time."""
        report, rewrites = trial.report, trial.report.rewrites

        def is_good_after(count: int) -> bool:
            tried = self._trials.run(count, self._rollback.avoided)
            return tried.failure is None and self.left > 0 and self._whole(tried).verdict != "slower"

        try:
            if not rewrites or self.left <= 0 or not is_good_after(0):
                return False
            guilty = first_bad(rewrites, is_good_after)
        finally:
            self._trials.report = report
        if self.left <= 0 or self._rollback.avoided.covers(guilty.source, guilty.where):
            return False
        self._take_back(guilty, ratio, "model")
        return True

    def _take_back(self, rewrite: Rewrite, ratio: Ratio, measured: str) -> None:
        self._rollback.avoid(rewrite)
        kind = "model" if measured == "model" else "window"
        self._taken.append(
            NotProfitable(rewrite.index, rewrite.source, rewrite.where, ratio.value, ratio.low, ratio.high, kind)
        )
