"""What `optimize` would still do, without writing or running anything."""

from __future__ import annotations

from pathlib import Path

from ncgopt.pipeline.attempt import Attempt
from ncgopt.report import Report, RolledBack
from ncgopt.rewrite.avoided import Avoided
from ncgopt.runtime import Worker
from ncgopt.runtime.watchdog import StepEnded
from ncgopt.settings import Settings


def findings(model: str | Path, settings: Settings) -> Report:
    """Run the pipeline on a copy in memory; `report.rewrites` and `report.repairs` are what was found.

    Raises:
        InputUnreadable, ModelInvalid: the model cannot be loaded.
        UnsoundRewrite: a rule or pass broke a promise.
        Usage: the settings make no sense.
    """
    avoided, ends = Avoided(), list[RolledBack]()
    with Worker(memory=settings.memory_limit) as worker:
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
