"""What runs in the child of `ncgopt.runtime.supervised`: it imports the pipeline while its own child gets ready."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ncgopt.report import Report, RolledBack
from ncgopt.runtime.blackbox import BlackBox
from ncgopt.runtime.process import Worker
from ncgopt.runtime.stage import stage
from ncgopt.runtime.watchdog import Watchdog
from ncgopt.settings import Settings


def run(
    model: Path,
    settings: Settings,
    output: Path | None,
    in_place: bool,
    ended: Sequence[RolledBack],
    scratch: Path,
    box: Path,
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
    """
    tempfile.tempdir = str(scratch)
    os.environ["TMPDIR"] = str(scratch)  # for our own child
    if Watchdog.box is None:
        Watchdog.box = BlackBox(box)
    with Worker(memory=settings.memory_limit) as worker:
        if settings.verify:  # it gets ready while we import and load
            worker.start("onnxruntime")
        from ncgopt import pipeline  # late: what it imports takes longer than all that comes before

        Watchdog.box.write("", time.monotonic() + settings.timeout)  # for loading; each pass then has its own
        return pipeline.optimize(
            model, settings, output=output, in_place=in_place, progress=stage, worker=worker, ended=ended
        )
