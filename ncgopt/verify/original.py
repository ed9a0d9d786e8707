"""The original in the child process, asked again and again, reopened whenever it takes the child down."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ncgopt.runtime.process import Worker, WorkerDied
from ncgopt.runtime.session import LoadError
from ncgopt.settings import VerifySettings
from ncgopt.verify.cases import Case, Trial
from ncgopt.verify.inputs import Survey

_REMOTE = "ncgopt.verify.remote"
_KNOWN_DOMAINS = ("ai.onnx.", "com.microsoft::", "com.microsoft.nchwc::", "com.microsoft.experimental::")
_TRIAL_SHARE = 0.1  # of the whole time that a single trial may take


class OutOfTime(Exception):  # control flow inside this package
    """The time of the whole verification is up."""


@dataclass
class Clock:
    """Time left of a verification: none once `ends` is set."""

    seconds: float
    start: float = field(default_factory=time.monotonic)
    ends: threading.Event = field(default_factory=threading.Event)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start

    def left(self) -> float:
        """Seconds left; raises OutOfTime when there are none."""
        left = self.seconds - self.elapsed
        if left <= 0 or self.ends.is_set():
            raise OutOfTime
        return left


@dataclass
class Child:
    """Calls into `remote.py`, with the time limit and the settings of one verification.

    Attributes:
        large: whether there shall be no second copy of weights where it can be done without.
    """

    worker: Worker
    settings: VerifySettings
    clock: Clock
    large: bool = False

    def ask(self, function: str, *args: Any) -> Any:
        """Call a function of `remote.py`.

        Raises:
            OutOfTime: the verification's time is up.
            WorkerDied: the child crashed.
        """
        try:
            return self.worker.call(f"{_REMOTE}:{function}", *args, timeout=self.clock.left())
        except WorkerDied as death:
            if death.timed_out:
                raise OutOfTime from death
            raise

    def open(self, path: Path, who: str, optimize: bool) -> tuple[str, ...]:
        """Open a model, see `remote.open_model`."""
        return self.ask("open_model", path, who, optimize, self.settings, self.large)


@dataclass
class Original:
    """The original at one optimization level, for trials.

    Attributes:
        child: where it runs.
        path: the model file.
        survey: what it expects.
        optimize: the level at which it is asked.
        crashes: what took the child down, one line each.
        trials: how many cases were tried.
    """

    child: Child
    path: Path
    survey: Survey
    optimize: bool
    crashes: list[str] = field(default_factory=list[str])
    trials: int = 0
    _open: bool = False

    def attempt(self, case: Case) -> Trial:
        """Run one case; a crash or a hang is a refusal, after which the model is opened anew.

        Raises:
            OutOfTime: the verification's time is up.
            LoadError, WorkerDied: the model cannot be opened.
        """
        if not self._open:
            self.open()
        self.trials += 1
        limit = min(self.child.clock.left(), max(10.0, _TRIAL_SHARE * self.child.clock.seconds))
        try:
            return self.child.worker.call(f"{_REMOTE}:attempt", self.survey, case, timeout=limit)
        except WorkerDied as death:
            self._open = False
            self.crashes.append(str(death))
            return Trial(refusal=str(death), crashed=True)

    def open(self) -> None:
        """Open it now."""
        self.child.open(self.path, "the original", self.optimize)
        self._open = True

    def remember_defaults(self, names: tuple[str, ...]) -> None:
        """Have the child read the defaults that cases will override."""
        if not self._open:
            self.open()
        self.child.ask("remember_defaults", self.path, names)


def load_reason(error: LoadError, survey: Survey) -> str:
    """Why the original does not load; the usual reason is an operator that nobody registered."""
    foreign = [name for name in survey.operators if "::" in name and name.rpartition("::")[2] in str(error)]
    foreign = [name for name in foreign if not name.startswith(_KNOWN_DOMAINS)]
    if foreign:
        return f"onnxruntime does not know operator {foreign[0]}: name its library with --custom-ops ({error})"
    return f"onnxruntime does not load the original: {error}"
