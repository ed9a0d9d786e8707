"""Settings against ONNX Runtime's defaults, in blocks that alternate; the worse half is left out again and again.

Successive halving (Jamieson and Talwalkar, Non-stochastic best arm identification and hyperparameter optimization,
2016): each round has the same time, so that those who are left have twice as much. What is compared is never one
time with another that was taken a minute later, but each with the defaults in the same moments.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ncgopt.errors import Inconclusive
from ncgopt.measure.ratio import Ratio, ratio_of
from ncgopt.runtime.process import Worker, WorkerDied
from ncgopt.runtime.session import LoadError, RunError
from ncgopt.runtime.tuned import SessionSettings
from ncgopt.settings import VerifySettings
from ncgopt.verify.cases import Case
from ncgopt.verify.inputs import Survey

_REMOTE = "ncgopt.tune.remote"
_BLOCK_SECONDS = 0.04
_LEAST_PAIRS = 3
_PROCESSES = 2  # of a race: one may be lucky with where its memory lies
_RACE_PAIRS = 6  # per process at least


@dataclass(frozen=True)
class Subject:
    """What is run.

    Attributes:
        path: the model.
        survey: of it.
        case: its inputs.
        settings: custom operators, providers, memory.
        streams: requests at once.
    """

    path: Path
    survey: Survey
    case: Case
    settings: VerifySettings
    streams: int


@dataclass
class Timed:
    """What was measured of some settings.

    Attributes:
        load: seconds in which the session was made.
        latencies: seconds of each request.
        paces: seconds per request of each block, where several are answered at once.
    """

    load: float = 0.0
    latencies: list[float] = field(default_factory=list[float])
    paces: list[float] = field(default_factory=list[float])


@dataclass
class Lane:
    """A session in a process of its own.

    Attributes:
        first: seconds of a single run.
        timed: all that ran in it.
    """

    worker: Worker
    first: float
    timed: Timed

    def block(self, subject: Subject, runs: int) -> list[float]:
        """Run one; seconds to compare. Between blocks the process is held: its threads would spin for 0.1 s.

        Raises:
            Inconclusive: its process died; a new one would have no session.
        """
        if self.worker.losses:
            raise Inconclusive(f"{subject.path}: cannot be measured: a process of the measurement died")
        self.worker.resume()
        seconds, latencies = self.worker.call(f"{_REMOTE}:run_block", runs, timeout=subject.settings.timeout)
        self.worker.pause()
        self.timed.latencies += latencies
        self.timed.paces.append(seconds / len(latencies))
        return latencies if subject.streams == 1 else [seconds / len(latencies)]


@contextlib.contextmanager
def opened(subject: Subject, tuned: SessionSettings) -> Generator[Lane]:
    """A lane for some settings.

    Raises:
        Inconclusive: ONNX Runtime cannot load or run the model that way.
    """
    with Worker(memory=subject.settings.memory_limit) as worker:
        arguments = (subject.path, subject.survey, subject.case, subject.settings, tuned, subject.streams)
        try:
            load, first = worker.call(f"{_REMOTE}:open_tuned", *arguments, timeout=subject.settings.timeout)
            worker.pause()
            try:
                yield Lane(worker, first, Timed(load))
            finally:
                worker.resume()
        except (LoadError, RunError, WorkerDied) as error:
            raise Inconclusive(f"{subject.path}: cannot be measured: {error}") from error


@dataclass
class Tried:
    """Settings and what was measured of them so far, beside the defaults.

    Attributes:
        tuned: the settings.
        default, own: blocks of the defaults and of these settings, pairwise.
        failed: why they cannot be used; empty where they can.
    """

    tuned: SessionSettings
    default: list[list[float]] = field(default_factory=list[list[float]])
    own: list[list[float]] = field(default_factory=list[list[float]])
    failed: str = ""

    @property
    def ratio(self) -> Ratio | None:
        """Time with the defaults over time with these settings."""
        return ratio_of(self.default, self.own) if self.own else None

    @property
    def value(self) -> float:
        """The ratio; 0 where there is none."""
        ratio = self.ratio
        return ratio.value if ratio is not None and not self.failed else 0.0


def alternate(subject: Subject, default: Lane, other: Lane, tried: Tried, until: float, least: int) -> None:
    """Pairs of blocks until a moment of `time.monotonic`, at least so many."""
    runs = max(1, round(_BLOCK_SECONDS / max(default.first, other.first)))
    lanes = [(default, tried.default), (other, tried.own)]
    pairs = 0
    while pairs < least or time.monotonic() < until:
        for lane, blocks in lanes:
            blocks.append(lane.block(subject, runs))
        lanes.reverse()  # whoever comes first finds the machine as the other one left it
        pairs += 1


def halve(
    subject: Subject, default: Lane, settings: Sequence[SessionSettings], seconds: float, say: Callable[[str], None]
) -> list[Tried]:
    """Successive halving; all that were tried, best first, those that lasted longest before the others.

    Args:
        subject: what is run.
        default: a lane with ONNX Runtime's defaults.
        settings: the candidates.
        seconds: for all rounds together.
        say: called with one line per candidate and round.
    """
    field_ = [Tried(one) for one in settings]
    rounds = max(1, math.ceil(math.log2(max(2, len(field_)))))
    left, out = field_, list[Tried]()
    for number in range(rounds):
        share = seconds / rounds / max(1, len(left))
        for one in left:
            say(f"round {number + 1} of {rounds}, {len(left)} settings")
            _measure(subject, default, one, share)
        left = sorted((one for one in left if not one.failed), key=lambda one: -one.value)
        keep = max(1, math.ceil(len(left) / 2))
        out = [*left[keep:], *out]
        left = left[:keep]
    return [*left, *out]


def _measure(subject: Subject, default: Lane, one: Tried, seconds: float) -> None:
    until = time.monotonic() + seconds
    try:
        with opened(subject, one.tuned) as lane:
            alternate(subject, default, lane, one, until, _LEAST_PAIRS)
    except Inconclusive as error:
        one.failed = str(error)


def race(
    subject: Subject, first: SessionSettings, second: SessionSettings, end: float, say: Callable[[str], None]
) -> tuple[Ratio, tuple[Timed, Timed]]:
    """Two settings against each other, in new processes; time with the first over time with the second.

    Args:
        subject: what is run.
        first: some settings.
        second: others.
        end: moment of `time.monotonic` until which to measure; a few pairs of blocks are run in any case.
        say: called with one line per pair of processes.

    Raises:
        Inconclusive: ONNX Runtime cannot load or run the model with one of them.
    """
    total, timed = Tried(second), (Timed(), Timed())
    for number in range(_PROCESSES):
        say(f"the best against the defaults, process {number + 1} of {_PROCESSES}")
        now = time.monotonic()
        until = now + max(0.0, end - now) / (_PROCESSES - number)
        with opened(subject, first) as one, opened(subject, second) as other:
            alternate(subject, one, other, total, until, _RACE_PAIRS)
            for whole, lane in zip(timed, (one, other), strict=True):
                whole.load = lane.timed.load
                whole.latencies += lane.timed.latencies
                whole.paces += lane.timed.paces
    return ratio_of(total.default, total.own), timed
