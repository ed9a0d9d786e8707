"""Finding the rewrite at fault, and leaving it out.

What is left out grows from run to run: the guilty rewrite first, with what the same rule would do at
the same place; then all that the rule does, where that alone makes the result good or the rule is at
fault again; and where that does not end, everything from the first rewrite at fault on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ncgopt.errors import UnsoundRewrite, VerificationFailed
from ncgopt.pipeline.culprit import first_bad
from ncgopt.pipeline.trial import Trial, Trials
from ncgopt.report import Report, Rewrite, RollbackScope, RolledBack
from ncgopt.rewrite.avoided import Avoided

_MAX_ROLLBACKS = 16  # more than that, and looking for each takes longer than the rest is worth
_MAX_PLACES = 2  # of one rule or pass at fault; at the last of them it is left out everywhere


class Rollback:
    """What is left out so far.

    Attributes:
        avoided: what the next run must leave out.
        limit: how many changes the next run may make; None for any number.
        rolled_back: each rewrite at fault, in the order in which they were found.
    """

    def __init__(self, trials: Trials) -> None:
        self.avoided = Avoided()
        self.limit: int | None = None
        self.rolled_back: list[RolledBack] = []
        self._trials = trials
        self._good: Sequence[Rewrite] = ()  # a run that made exactly these did not show what was looked for

    def exclude(self, one: RolledBack) -> None:
        """Leave out everywhere what is already known to be at fault."""
        self.avoided = self.avoided.everywhere(one.source)
        self.rolled_back.append(one)

    def avoid(self, rewrite: Rewrite) -> None:
        """Leave out a rewrite that is right, but not wanted."""
        self.avoided = self.avoided.at(rewrite.source, rewrite.where)
        self._good = ()

    def blame(self, trial: Trial) -> Rewrite:
        """Find the change at fault in a run that went wrong, and leave it out of the next.

        Raises:
            VerificationFailed: the model fails without any change.
        """
        guilty = self._usual_suspect(trial)
        if guilty is not None:
            trial.report.culprit = guilty.source
            self.avoided = self.avoided.everywhere(guilty.source)
            self._note(guilty, "everywhere", trial.report.verification.reason)
            return guilty
        guilty, reason = self.find(trial)
        self._leave_out(guilty, reason)
        return guilty

    def find(self, trial: Trial) -> tuple[Rewrite, str]:
        """The change at fault in a run that went wrong, and what happened with it.

        Where no change is, but a whole rule or pass, its name stands for the place.

        Raises:
            VerificationFailed: the model fails without any change.
        """
        if trial.failure is not None:
            guilty, reason = self._who_failed(trial, trial.failure), str(trial.failure)
        else:
            reason = trial.report.verification.reason
            guilty = self._who_is_wrong(trial, reason)
        trial.report.culprit = guilty.source
        return guilty, reason

    def _leave_out(self, guilty: Rewrite, reason: str) -> None:
        source, where = guilty.source, guilty.where
        if self.avoided.covers(source, where) or len(self.rolled_back) >= _MAX_ROLLBACKS:
            if self.limit is None:
                self._note(guilty, "rest", reason)
            self.limit = guilty.index
            return
        before = sum(r.source == source for r in self.rolled_back)
        if where == source or before + 1 >= _MAX_PLACES:
            self.avoided = self.avoided.everywhere(source)
            self._note(guilty, "everywhere", reason)
        else:
            self.avoided = self.avoided.at(source, where)
            self._note(guilty, "place", reason)

    def _note(self, guilty: Rewrite, scope: RollbackScope, reason: str) -> None:
        self.rolled_back.append(RolledBack(guilty.index, guilty.source, guilty.where, scope, reason))

    def _usual_suspect(self, trial: Trial) -> Rewrite | None:
        """The next change by the last rule at fault, where leaving out all it does makes the result good.

        One run instead of a bisection: what is wrong at one place mostly is at others.
        """
        last = self.rolled_back[-1] if self.rolled_back else None
        if trial.failure is not None or last is None or last.scope != "place":
            return None
        again = next((rewrite for rewrite in trial.report.rewrites if rewrite.source == last.source), None)
        if again is None:
            return None
        without = self._trials.run(self.limit, self.avoided.everywhere(last.source))
        if without.failure is not None or self._trials.shows(without, trial.report.verification):
            return None
        return again

    def _who_is_wrong(self, trial: Trial, reason: str) -> Rewrite:
        report = trial.report
        rewrites, is_good = report.rewrites, self._question(trial, report)
        if not rewrites or not is_good(0):
            self._nobody(reason)
        known = len(self._good)
        if known >= len(rewrites) or list(self._good) != rewrites[:known] or (known and not is_good(known)):
            known = 0
        guilty = first_bad(rewrites, is_good, known)
        self._good = rewrites[: guilty.index]
        return guilty

    def _question(self, trial: Trial, report: Report) -> Callable[[int], bool]:
        """Whether the first so many changes do not show what is wrong with all of them."""
        failed = report.verification

        def fully(count: int) -> bool:
            tried = self._trials.run(count, self.avoided)
            return tried.failure is None and self._trials.judge(tried).status == "passed"

        def quickly(count: int) -> bool:
            tried = self._trials.run(count, self.avoided)
            return tried.failure is None and not self._trials.shows(tried, failed)

        return quickly if self._trials.shows(trial, failed) else fully

    def _who_failed(self, trial: Trial, failure: UnsoundRewrite) -> Rewrite:
        """The last change without which nothing fails, or the pass itself where it fails without any."""
        rewrites = trial.report.rewrites
        start = sum(record.rewrites for record in trial.report.passes)
        if failure.source:
            return Rewrite(start, failure.source, failure.source)

        def runs_after(count: int) -> bool:
            return self._trials.run(count, self.avoided).failure is None

        if start < len(rewrites) and not runs_after(len(rewrites)):
            return first_bad(rewrites, runs_after, start)
        return Rewrite(start, failure.step, failure.step)

    def _nobody(self, reason: str) -> None:
        source = self._trials.source
        if self._trials.settings.opset is not None:
            raise VerificationFailed(self._trials.upgrade_at_fault(reason))
        raise VerificationFailed(
            f"{source}: {reason}, even without any rewrite: loading and writing it back is at fault; "
            "nothing was written; please report this"
        )
