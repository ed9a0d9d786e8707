"""Does a small model still show what is wrong? The question that every step of a reduction asks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ncgopt import model as models
from ncgopt.errors import NcgoptError, UnsoundRewrite
from ncgopt.pipeline.attempt import Attempt
from ncgopt.pipeline.plan import make_plan
from ncgopt.reduce.specimen import Specimen
from ncgopt.report import OutputDifference
from ncgopt.runtime import Worker, WorkerDied
from ncgopt.settings import Settings
from ncgopt.verify.compare import excess
from ncgopt.verify.once import AFTER, Comparison

Kind = Literal["differs", "does not run", "crashes", "interface", "raises"]
_SECONDS = 60.0  # for one comparison; what takes longer is no help
_PASS_SECONDS = 5.0  # for one pass; a part of a model takes far less, unless it takes forever
_CLEAR = 10.0  # times the limit: more than that, and rounding is not what is seen


@dataclass(frozen=True)
class Symptom:
    """What is wrong with a result.

    Attributes:
        kind: `differs` (other numbers), `does not run`, `crashes` (the process), `interface`, `raises`
            (the rewrite itself failed).
        detail: one line.
        level: optimization level of ONNX Runtime at which it shows; empty where it does not matter.
        excess: how many times its limit the difference is; infinite where it is no number.
    """

    kind: Kind
    detail: str
    level: str = ""
    excess: float = float("inf")

    def is_like(self, other: Symptom) -> bool:
        """Whether this is the same fault as `other`, seen on another model, and clear enough to be no rounding."""
        if self.kind != other.kind:
            return False
        if other.excess == float("inf"):
            return self.excess == other.excess
        return self.excess != float("inf") and self.excess >= min(_CLEAR, other.excess / 2)


class Experiment:
    """Optimizes models as `settings` say and looks at what comes of it.

    Args:
        settings: what to do with a model.
        source: the rule or pass under suspicion; where it changes nothing, nothing is seen.
        worker: child process in which models run.
        folder: where the models before and after are left.
    """

    def __init__(self, settings: Settings, source: str, worker: Worker, folder: Path) -> None:
        seconds = min(settings.timeout, _PASS_SECONDS)
        self.settings = dataclasses.replace(settings, strict=True, verify=False, timeout=seconds)
        self.source = source
        self._worker = worker
        self.before, self.after, self.feeds = (folder / n for n in ("part.onnx", "part.after.onnx", "part.npz"))

    def observe(self, specimen: Specimen) -> Symptom | None:
        """What is wrong with what the settings make of this model; None: nothing, or it is no model at all."""
        self.before.unlink(missing_ok=True)
        self.feeds.unlink(missing_ok=True)
        specimen.save(self.before, self.feeds)
        return self._observe(self.before, self.feeds, quantizes=_quantizes(specimen))

    def _observe(self, before: Path, feeds: Path, *, quantizes: bool) -> Symptom | None:
        self.after.unlink(missing_ok=True)
        try:
            attempt = Attempt(before, self.settings, self._worker)
            attempt.run()
        except UnsoundRewrite as failure:
            blamed = failure.source or failure.step
            return Symptom("raises", str(failure)) if blamed in (self.source, "rules") else None
        except NcgoptError:
            return None
        if not any(rewrite.source == self.source for rewrite in attempt.report.rewrites):
            return None
        broken = attempt.contract.differences(models.Contract.of(attempt.loaded.model))
        if broken:
            return Symptom("interface", broken[0])
        models.save(attempt.loaded.model, self.after)
        return self.compare(before, self.after, feeds, quantizes=quantizes)

    def compare(self, before: Path, after: Path, feeds: Path, *, quantizes: bool = False) -> Symptom | None:
        """What is wrong with one model file against another, on the same inputs."""
        settings = self.settings.verification
        try:
            found: Comparison = self._worker.call(
                "ncgopt.verify.once:compare", before, after, feeds, settings, quantizes, timeout=_SECONDS
            )
        except WorkerDied as death:
            is_new = death.stage.startswith(AFTER) and not death.timed_out
            return Symptom("crashes", f"{death.what} while {death.stage}") if is_new else None
        except NcgoptError:
            return None
        if not found.usable:
            return None
        if found.problem:
            return Symptom("does not run", found.problem, found.level)
        if found.worst is None or found.worst.ok:
            return None
        return Symptom("differs", describe(found.worst), found.level, excess(found.worst))


def describe(worst: OutputDifference) -> str:
    """One line."""
    how = worst.detail or f"differs by {worst.max_abs:.3g} where {worst.limit:.3g} is allowed"
    return f"output {worst.output} {how}"


def narrow(settings: Settings, source: str) -> Settings:
    """Settings that do nothing but what `source` does, as it did it under `settings`."""
    plan = make_plan(settings)
    options = {
        step.name: {f.name: getattr(step, f.name) for f in dataclasses.fields(step)}  # pyright: ignore[reportArgumentType]
        for step in (*plan.lossy, *plan.steps, *plan.closing)
        if step.name == source
    }
    return dataclasses.replace(wide(settings), passes=(source,), skip=(), options=options)


def wide(settings: Settings) -> Settings:
    """The settings without what refers to the names, the dimensions and the operator set of the whole model."""
    return dataclasses.replace(settings, keep=(), bind={}, opset=None)


def _quantizes(specimen: Specimen) -> bool:
    return any("Quantize" in node.op_type or "QLinear" in node.op_type for node in specimen.model.graph.node)
