"""Optimizing many models: what is done already is left, the others are done, and whatever happens is noted."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ncgopt.bytesize import ByteSize
from ncgopt.errors import CannotWrite
from ncgopt.fleet import urls
from ncgopt.fleet.engine import Engine
from ncgopt.fleet.ledger import Ledger
from ncgopt.fleet.optimizing import Optimized, OptimizerSeat, Task
from ncgopt.fleet.sources import Pair
from ncgopt.fleet.tasks import Done
from ncgopt.report import Report
from ncgopt.settings import Settings


@dataclass(frozen=True)
class Finished:
    """What became of one model.

    Attributes:
        index: its place among the models.
        pair: the model, and where its result is.
        report: what was done; as plain data where an earlier run did it, None where it did not come that far.
        error: why there is no result.
        before: whether an earlier run did it.
    """

    index: int
    pair: Pair
    report: Report | Mapping[str, Any] | None
    error: Exception | None = None
    before: bool = False


def optimize_all(
    pairs: Sequence[Pair],
    settings: Settings,
    *,
    engine: Engine | None = None,
    folder: str | None = None,
    again: bool = False,
    supervised: bool = True,
    say: Callable[[int, str], None] | None = None,
) -> Generator[Finished]:
    """Optimize models, several at once; tells of each as soon as it is done, in whatever order that is.

    The results do not depend on the engine or the number of jobs. Where several jobs share this machine, each may
    hold its part of the memory only; a model for which that is too little is done again at the end, alone, unless
    its result has taken its place already. Close the generator (`contextlib.closing`) to end what runs; what was
    written by then is complete.

    Args:
        pairs: models and where their results go, see `sources`.
        settings: what to do with each.
        engine: where; one after the other on this machine without it.
        folder: the folder of results, in which it is noted what was done; without it nothing is.
        again: do again what an earlier run did.
        supervised: whether each job has a child process that may crash.
        say: called with a model's index and a line of text whenever something begins (local engine only).

    Raises:
        Unavailable: the engine is not installed, or there is no such cluster.
    """
    chosen = engine or Engine()
    ledger = Ledger(folder, settings) if folder is not None and not settings.dry_run else None
    left: list[int] = []
    for index, pair in enumerate(pairs):
        report = ledger.done_before(pair) if ledger is not None and not again else None
        if report is not None:
            yield Finished(index, pair, report, before=True)
        elif (refused := _make_room(pair, settings)) is not None:
            yield Finished(index, pair, None, refused)
        else:
            left.append(index)
    left.sort(key=lambda index: -_size(pairs[index].source))  # the longest first: none is left over at the end
    fleet = _Fleet(pairs, ledger, supervised, say)
    share = chosen.memory_share() if settings.memory_limit is None else None
    yield from fleet.run(chosen, left, _limited(settings, share), share)
    yield from fleet.run(dataclasses.replace(chosen, jobs=1), fleet.too_large, settings, None)


class _Fleet:
    def __init__(
        self,
        pairs: Sequence[Pair],
        ledger: Ledger | None,
        supervised: bool,
        say: Callable[[int, str], None] | None,
    ) -> None:
        self._pairs, self._ledger, self._supervised, self._say = pairs, ledger, supervised, say
        self.too_large: list[int] = []

    def run(self, engine: Engine, wanted: Sequence[int], settings: Settings, share: int | None) -> Generator[Finished]:
        """Do those; what had too little memory with its share goes to `too_large`."""
        if not wanted:
            return
        noted = self._ledger.settings if self._ledger is not None else None
        tasks = [Task(self._pairs[index].source, self._pairs[index].target, settings, noted) for index in wanted]
        seat = OptimizerSeat(settings.memory_limit, self._supervised)

        def say(place: int, text: str) -> None:
            if self._say is not None:
                self._say(wanted[place], text)

        with contextlib.closing(engine.run(seat, tasks, say)) as finished:
            for done in finished:
                index = wanted[done.index]
                if share is not None and _short_of_memory(done) and not _is_replaced(self._pairs[index], done):
                    self.too_large.append(index)
                else:
                    yield self._finish(index, done)

    def _finish(self, index: int, done: Done) -> Finished:
        pair = self._pairs[index]
        if done.error is not None:
            return Finished(index, pair, getattr(done.error, "report", None), done.error)
        found: Optimized = done.value
        try:
            if self._ledger is not None and found.report.status == "written":
                self._ledger.note(pair, found.key, found.report)
        except CannotWrite as error:
            return Finished(index, pair, found.report, error)
        return Finished(index, pair, found.report)


def _short_of_memory(done: Done) -> bool:
    """Whether the result might be another one with more memory."""
    if done.error is not None:
        report: Report | None = getattr(done.error, "report", None)
        return "memory" in str(done.error) or (report is not None and _lacked_memory(report))
    found: Optimized = done.value
    return _lacked_memory(found.report)


def _is_replaced(pair: Pair, done: Done) -> bool:
    """Whether the model is no longer there to be done again: its result has taken its place."""
    return pair.target is None and done.error is None and done.value.report.status == "written"


def _lacked_memory(report: Report) -> bool:
    reasons = [*(one.reason for one in report.rolled_back), report.verification.reason, *report.notes]
    return any("memory" in reason for reason in reasons)


def _limited(settings: Settings, share: int | None) -> Settings:
    if share is None:
        return settings
    limit = ByteSize(share)
    verification = settings.verification
    if verification.memory_limit is None:
        verification = dataclasses.replace(verification, memory_limit=limit)
    return dataclasses.replace(settings, memory_limit=limit, verification=verification)


def _make_room(pair: Pair, settings: Settings) -> CannotWrite | None:
    """Make the folder of a result; why that is not possible."""
    if pair.target is None or urls.is_url(pair.target) or settings.dry_run:
        return None
    try:
        Path(pair.target).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return CannotWrite(f"{pair.target}: {error.strerror}")
    return None


def _size(source: str) -> int:
    try:
        return os.stat(source).st_size
    except OSError:
        return 0
