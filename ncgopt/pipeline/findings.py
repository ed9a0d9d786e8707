"""What `optimize` would still do, without writing or running anything."""

from __future__ import annotations

from pathlib import Path

from ncgopt.pipeline.attempt import Attempt
from ncgopt.report import Report
from ncgopt.runtime import Worker
from ncgopt.settings import Settings


def findings(model: str | Path, settings: Settings) -> Report:
    """Run the pipeline on a copy in memory; `report.rewrites` and `report.repairs` are what was found.

    Raises:
        InputUnreadable, ModelInvalid: the model cannot be loaded.
        UnsoundRewrite: a rule or pass broke a promise.
        Usage: the settings make no sense.
    """
    with Worker() as worker:
        attempt = Attempt(Path(model), settings, worker)
        attempt.run()
    report: Report = attempt.report
    report.status = "dry-run"
    return report
