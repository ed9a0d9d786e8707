"""`optimize` as a task: one model, in a child process that is begun again without what takes it down."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from ncgopt.errors import NcgoptError
from ncgopt.fleet import urls
from ncgopt.fleet.contents import key_of
from ncgopt.fleet.seats import Do, Listener
from ncgopt.report import Report, WrittenFile
from ncgopt.runtime.supervised import Supervised
from ncgopt.settings import Settings

Optimize = Callable[..., Report]


@dataclass(frozen=True)
class Task:
    """One model.

    Attributes:
        source: its path or URL.
        target: where the result goes; None for in its place.
        settings: what to do.
        noted: the settings that count in what the result depends on; None where nobody asks for that.
    """

    source: str
    target: str | None
    settings: Settings
    noted: Settings | None


@dataclass(frozen=True)
class Optimized:
    """What came of it.

    Attributes:
        report: what was done.
        key: what the result depends on, from before the model was read; None where that was not asked for.
    """

    report: Report
    key: str | None


@dataclass(frozen=True)
class OptimizerSeat:
    """Optimizes one model after the other.

    Numpy has one thread in it, however many jobs there are: the rounding of its products may depend on their number.

    Attributes:
        memory: bytes that each child process may hold; None for three quarters of the machine's memory.
        supervised: whether to do it in a child process.
    """

    memory: int | None = None
    supervised: bool = True

    @contextlib.contextmanager
    def open(self, stop: threading.Event | None) -> Generator[Do]:
        """See `Seat`."""
        if not self.supervised:
            from ncgopt import pipeline

            yield _doing(pipeline.optimize)
            return
        with Supervised(self.memory, threads=False, stop=stop, keep=True) as supervised:
            yield _doing(supervised.optimize)


def _doing(optimize: Optimize) -> Do:
    def do(task: Task, listener: Listener) -> Optimized:
        if urls.is_url(task.source) or urls.is_url(task.target or ""):
            return _elsewhere(optimize, task, listener)
        nowhere = task.target is None or task.settings.dry_run  # a dry run makes no folder for its results
        source, target = Path(task.source), None if nowhere else Path(task.target or "")
        key = key_of(source, task.noted) if task.noted is not None else None
        report = optimize(source, task.settings, output=target, in_place=target is None, progress=listener)
        return Optimized(report, key)

    return do


def _elsewhere(optimize: Optimize, task: Task, listener: Listener) -> Optimized:
    """Work on a copy here, and copy the result there."""
    assert task.target is not None  # see `sources.beside`
    with tempfile.TemporaryDirectory(prefix="ncgopt-") as folder:
        before, after = Path(folder, "before"), Path(folder, "after")
        before.mkdir()
        after.mkdir()
        listener("fetching")
        source = urls.fetch(task.source, before) if urls.is_url(task.source) else Path(task.source)
        key = key_of(source, task.noted) if task.noted is not None else None
        target = Path(task.target)
        if urls.is_url(task.target):
            target = after / task.target.rpartition("/")[2]
        try:
            report = optimize(source, task.settings, output=target, in_place=False, progress=listener)
        except NcgoptError as error:
            error.args = tuple(str(part).replace(str(source), task.source) for part in error.args)
            raise
        report.model = task.source
        if report.status == "written" and urls.is_url(task.target):
            listener("writing")
            others = [Path(file.path) for file in report.files if Path(file.path) != target]
            urls.put(target, others, task.target)
            report.output = task.target
            report.files = tuple(_moved(file, task.target) for file in report.files)
        return Optimized(report, key)


def _moved(file: WrittenFile, target: str) -> WrittenFile:
    return dataclasses.replace(file, path=urls.join(target.rpartition("/")[0], Path(file.path).name))
