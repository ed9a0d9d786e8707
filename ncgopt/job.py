"""What runs in the child of `ncgopt.runtime.supervised`: it imports the pipeline while its own child gets ready."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ncgopt.report import Report, RolledBack
from ncgopt.runtime.blackbox import BlackBox
from ncgopt.runtime.process import Worker
from ncgopt.runtime.stage import stage
from ncgopt.runtime.watchdog import Watchdog
from ncgopt.settings import Settings

_MOST_KEPT = 256 << 20  # bytes that a child may still hold to be used again


def run(
    model: Path,
    settings: Settings,
    output: Path | None,
    in_place: bool,
    ended: Sequence[RolledBack],
    scratch: Path,
    box: Path,
    keep: bool = False,
) -> Report:
    """Call `optimize`, with progress told as stages and temporary files in `scratch`, which the parent removes.

    Args:
        model: as for `optimize`, like the next four.
        settings: what to do.
        output: where to write.
        in_place: replace the input instead.
        ended: what took earlier runs of this job down.
        scratch: folder that outlives this process if it is killed.
        box: file of the black box that the parent reads.
        keep: leave our own child to the next call, where all went well: it takes half a second to get ready.
    """
    tempfile.tempdir = str(scratch)
    os.environ["TMPDIR"] = str(scratch)  # for our own child
    if Watchdog.box is None:
        Watchdog.box = BlackBox(box)
    with _child(settings.memory_limit) as mine:
        worker = mine.worker
        if settings.verify:  # it gets ready while we import and load
            worker.start("onnxruntime")
        from ncgopt import pipeline  # late: what it imports takes longer than all that comes before

        Watchdog.box.write("", time.monotonic() + settings.timeout)  # for loading; each pass then has its own
        report = pipeline.optimize(
            model, settings, output=output, in_place=in_place, progress=stage, worker=worker, ended=ended
        )
        # Where the comparison came to its end, nobody else is still at work in the child.
        mine.good = keep and report.verification.status == "passed"
        return report


@dataclass
class _Child:
    worker: Worker
    memory: int | None
    good: bool = False


_kept: list[_Child] = []


@contextlib.contextmanager
def _child(memory: int | None) -> Generator[_Child]:
    """The child that the last call left, or a new one; to be left to the next call if it is `good` then."""
    one = _kept.pop() if _kept else _Child(Worker(memory=memory), memory)
    if one.memory != memory:
        one.worker.close()
        one = _Child(Worker(memory=memory), memory)
    one.good = False
    try:
        yield one
        if one.good:
            one.worker.call("ncgopt.verify.remote:release")
            one.good = (one.worker.held() or _MOST_KEPT) < _MOST_KEPT
    except BaseException:
        one.good = False
        raise
    finally:
        if one.good:
            _kept.append(one)
        else:
            one.worker.close()
