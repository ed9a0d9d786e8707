"""Running the original while the result that it will be compared with is still being made."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

from ncgopt.runtime.process import Worker
from ncgopt.settings import VerifySettings
from ncgopt.verify import memory
from ncgopt.verify.baseline import Baseline
from ncgopt.verify.inputs import Survey
from ncgopt.verify.original import Child, Clock
from ncgopt.verify.reference import Reference


class Ahead:
    """A thread that has the child process do all of a verification that takes the original alone.

    Whoever else uses the child waits for his turn, a step at most. Where anything goes wrong, and where the
    models are to be compared by windows because memory is short, nothing comes of it: verification then does
    it again, and says what there is to say; in the time that is left.
    """

    def __init__(self, original: Path, settings: VerifySettings, worker: Worker) -> None:
        self._original, self._settings, self._worker = original, settings, worker
        self._losses = worker.losses
        self._baseline: Baseline | None = None
        self._seconds = 0.0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._work, name="ncgopt-ahead", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Have it end after the step it is at; nobody needs it any more."""
        self._ends.set()

    def take(self, original: Path, settings: VerifySettings) -> tuple[Baseline | None, Clock]:
        """Wait for its end; what it has found out where that serves a comparison with `original`, once.

        And the time left of what `settings` allow for that comparison.
        """
        while self._thread.is_alive():
            self._thread.join(0.25)  # so that Ctrl-C is heard on Windows
        found, self._baseline = self._baseline, None
        spent, self._seconds = self._seconds, 0.0
        if (original, settings) != (self._original, self._settings):
            return None, Clock(settings.timeout)
        clock = Clock(settings.timeout, time.monotonic() - spent)
        if found is None or self._worker.losses != self._losses:
            return None, clock
        found.child.clock = clock
        return found, clock

    def _work(self) -> None:
        clock = Clock(self._settings.timeout, ends=self._ends)
        child = Child(self._worker, self._settings, clock)
        try:
            path = self._original.absolute()
            survey: Survey = child.ask("survey_of", path)
            mode, _ = memory.mode_for(self._settings, survey.bytes)
            if mode == "window":
                return
            child.large = survey.bytes >= memory.LARGE
            child.settings = replace(self._settings, mode=mode)
            self._baseline = Baseline.of(Reference.find(child, path, survey))
            child.ask("close")  # until the result comes, its memory is free for others
        except Exception:  # it will happen again, at a time when somebody listens
            self._baseline = None
        self._seconds = clock.elapsed - self._worker.waits[threading.get_ident()] / 1000
