"""How much of a model could run at the same time: work, span, and who is on the critical path."""

from ncgopt.parallel.look import ParallelReport, inspect_parallel
from ncgopt.parallel.picture import svg
from ncgopt.parallel.workspan import Step, WorkSpan, schedule, speedup, work_span

__all__ = ["ParallelReport", "Step", "WorkSpan", "inspect_parallel", "schedule", "speedup", "svg", "work_span"]
