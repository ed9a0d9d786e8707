"""Finding settings for a session: threads first, then the rest around the best, then a race against the defaults."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ncgopt.measure.latency import inputs_of
from ncgopt.measure.ratio import Ratio
from ncgopt.model import load
from ncgopt.parallel.modelled import modelled_steps
from ncgopt.parallel.workspan import work_span
from ncgopt.runtime import machine
from ncgopt.runtime.machine import cores
from ncgopt.runtime.tuned import SessionSettings
from ncgopt.settings import VerifySettings
from ncgopt.tune import candidates
from ncgopt.tune.contest import Lane, Subject, Timed, Tried, halve, opened, race

_THREADS, _REST = 0.4, 0.25  # shares of the budget; what is left is for the race against the defaults
_CLOSE = 0.01  # settings closer to the best than that are as good, and of these the simplest is taken
_PAIR_SECONDS = 0.12
_RUNS_ALONE = 10


@dataclass(frozen=True)
class Requests:
    """How requests fare with some settings.

    Attributes:
        count: how many were timed.
        p50, p95, p99: seconds of one.
        per_second: that are answered, all streams together.
        load: seconds in which the session was made.
    """

    count: int
    p50: float
    p95: float
    p99: float
    per_second: float
    load: float


@dataclass(frozen=True)
class Attempt:
    """Settings that were tried: time with the defaults over time with these; None where they cannot be used."""

    settings: SessionSettings
    text: str
    ratio: Ratio | None
    failed: str = ""


@dataclass(frozen=True)
class TuneReport:
    """What was found.

    Attributes:
        model: path as given.
        chosen: the settings to use; ONNX Runtime's own where nothing is faster beyond noise, with the threads that
            are allowed.
        text: what is different in them, in words.
        verdict: one sentence.
        ratio: of the race: time with the defaults over time with the settings that were raced against them; None
            where there was none.
        raced: these settings, chosen or not.
        default, tuned: requests with the defaults and with `raced`, in the race; `tuned` is None without one.
        tried: everything, best first.
        left_out: settings for which the budget did not suffice.
        streams: requests at once.
        cores: of this machine, as far as this process may use them.
        load: processes that wanted a processor before it began; None where nobody tells.
        parallelism: of the model on paper.
        data: where the inputs come from.
        binding: sizes of the symbolic dimensions.
        seconds: how long it took.
    """

    model: str
    chosen: SessionSettings
    text: str
    verdict: str
    ratio: Ratio | None
    raced: SessionSettings | None
    default: Requests
    tuned: Requests | None
    tried: tuple[Attempt, ...]
    left_out: int
    streams: int
    cores: int
    load: float | None
    parallelism: float
    data: str
    binding: Mapping[str, int]
    seconds: float


def tune(
    model: Path,
    settings: VerifySettings,
    *,
    budget: float = 60.0,
    streams: int = 1,
    threads: int | None = None,
    flush_denormals: bool = False,
    progress: Callable[[str], None] | None = None,
) -> TuneReport:
    """Measure session settings against ONNX Runtime's defaults, and find out whether any are faster.

    What counts is the latency of a request, or with several streams how many requests are answered.

    Args:
        model: an ONNX file.
        settings: `feeds` (at most one file) or `bind` say what is run; custom operators and providers count too.
        budget: seconds for all measurements; finding inputs comes on top.
        streams: requests at once.
        threads: threads within a node at most; None for as many as there are cores.
        flush_denormals: whether that may be tried too, which changes results.
        progress: called with one line whenever something begins.

    Raises:
        InputUnreadable, ModelInvalid: the file is missing, damaged or no model.
        Usage: the feeds or bindings do not fit the model.
        Inconclusive: ONNX Runtime cannot load or run it, or no inputs were found.
    """
    start, busy = time.monotonic(), machine.load()
    say = progress or _silent
    parsed = load(model).model
    say("looking for inputs")
    survey, case = inputs_of(model, settings)
    parallelism = work_span(modelled_steps(parsed, dict(case.binding))).parallelism
    default = SessionSettings(intra_op_threads=0 if threads is None or threads >= cores() else threads)
    search = _Search(Subject(model.absolute(), survey, case, settings, streams), default, budget, say)
    found = search.run(candidates.threading(cores(), streams, parallelism, threads), flush_denormals=flush_denormals)
    raced, ratio, timed = found
    faster = ratio is not None and ratio.verdict == "faster"
    chosen = raced if faster and raced is not None else default
    return TuneReport(
        model=str(model),
        chosen=chosen,
        text=candidates.text(chosen),
        verdict=_sentence(ratio, search),
        ratio=ratio,
        raced=raced,
        default=_requests(timed[0]),
        tuned=_requests(timed[1]) if raced is not None else None,
        tried=tuple(_attempt(one) for one in search.tried),
        left_out=search.left_out,
        streams=streams,
        cores=cores(),
        load=busy,
        parallelism=parallelism,
        data=case.source,
        binding=dict(case.binding),
        seconds=time.monotonic() - start,
    )


def _silent(_: str) -> None:
    return


class _Search:
    """One run of the search."""

    def __init__(self, subject: Subject, default: SessionSettings, budget: float, say: Callable[[str], None]) -> None:
        self._subject, self._default, self._budget, self._say = subject, default, budget, say
        self._end = time.monotonic() + budget
        self.tried: list[Tried] = []
        self.left_out = 0

    def run(
        self, threading: list[SessionSettings], *, flush_denormals: bool
    ) -> tuple[SessionSettings | None, Ratio | None, Sequence[Timed]]:
        """The settings that were raced against the defaults and how that ended; and the requests of both."""
        begun = time.monotonic()
        with opened(self._subject, self._default) as default:
            self._cost = time.monotonic() - begun
            self._pair = max(_PAIR_SECONDS, 3 * default.first * self._subject.streams)
            self._halve(default, [one for one in threading if one != self._default], _THREADS)
            base = self._best()
            changes = candidates.single_changes(base.tuned, flush_denormals=flush_denormals)
            around = self._halve(default, changes, _REST)
            better = [one for one in around if one.value > base.value * (1 + _CLOSE)]
            if len(better) > 1:
                both = candidates.combined(base.tuned, [one.tuned for one in better])
                self._halve(default, [both], _REST / 4)
            best = self._best().tuned
            if best == self._default:
                if not default.timed.latencies:
                    default.block(self._subject, _RUNS_ALONE)
                return None, None, [default.timed]
        return best, *race(self._subject, self._default, best, self._end, self._say)

    def _halve(self, default: Lane, settings: list[SessionSettings], share: float) -> list[Tried]:
        """As many as there is time for."""
        seconds = share * self._budget
        room = int(seconds / 2 / (self._cost + 3 * self._pair))
        self.left_out += max(0, len(settings) - room)
        if not room or not settings:
            return []
        found = halve(self._subject, default, settings[:room], seconds, self._say)
        self.tried += found
        return found

    def _best(self) -> Tried:
        """The simplest settings that are as good as the best, the defaults among them."""
        default = Tried(self._default, [[1.0]], [[1.0]])
        usable = [default, *(one for one in self.tried if one.own and not one.failed)]
        most = max(one.value for one in usable)
        close = [one for one in usable if one.value >= most * (1 - _CLOSE)]
        return min(close, key=lambda one: len(one.tuned.changes()))


def _sentence(ratio: Ratio | None, search: _Search) -> str:
    if ratio is None and not search.tried:
        return "nothing was tried: the budget is too small for this model; the defaults stay"
    if ratio is None:
        return "the defaults are already best"
    interval = f"95 % interval {ratio.low:.3f} to {ratio.high:.3f}"
    if ratio.verdict == "faster":
        return f"{ratio.value:.3f} times as fast as the defaults ({interval})"
    return f"the defaults are already best: the closest settings are {ratio.value:.3f} times as fast ({interval})"


def _attempt(one: Tried) -> Attempt:
    return Attempt(one.tuned, candidates.text(one.tuned), one.ratio, one.failed)


def _requests(timed: Timed) -> Requests:
    p50, p95, p99 = (float(q) for q in np.quantile(np.asarray(timed.latencies), (0.5, 0.95, 0.99)))
    return Requests(len(timed.latencies), p50, p95, p99, 1 / float(np.median(timed.paces)), timed.load)
