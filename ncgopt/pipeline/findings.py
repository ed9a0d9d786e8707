"""What `optimize` would still do, without writing or running anything."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ncgopt.pipeline.attempt import Attempt
from ncgopt.report import Report, RolledBack
from ncgopt.rewrite.avoided import Avoided
from ncgopt.runtime import Worker
from ncgopt.runtime.watchdog import StepEnded
from ncgopt.settings import Settings


def findings(model: str | Path, settings: Settings, worker: Worker | None = None) -> Report:
    """Run the pipeline on a copy in memory; `report.rewrites` and `report.repairs` are what was found.

    Args:
        model: an ONNX file.
        settings: what `optimize` would be told.
        worker: a child process to use, which stays the caller's; one of our own without it.

    Raises:
        InputUnreadable, ModelInvalid: the model cannot be loaded.
        UnsoundRewrite: a rule or pass broke a promise.
        Usage: the settings make no sense.
    """
    avoided, ends = Avoided(), list[RolledBack]()
    with contextlib.ExitStack() as stack:
        worker = worker or stack.enter_context(Worker(memory=settings.memory_limit))
        while True:
            attempt = Attempt(Path(model), settings, worker, avoided=avoided)
            try:
                attempt.run()
            except StepEnded as ended:
                if settings.strict or ended.source in avoided.sources:
                    raise
                avoided = avoided.everywhere(ended.source)
                ends.append(RolledBack(-1, ended.source, ended.source, "everywhere", ended.reason))
                continue
            break
    attempt.report.rolled_back[:0] = ends
    report: Report = attempt.report
    report.status = "dry-run"
    return report
