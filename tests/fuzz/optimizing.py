"""Running the whole pipeline on a model in memory, in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import onnx

from ncgopt import model as models
from ncgopt.passes import PASSES
from ncgopt.pipeline.plan import make_plan
from ncgopt.pipeline.run import Runner
from ncgopt.report import Report, Rewrite
from ncgopt.rewrite import Claim, Session
from ncgopt.rules import RULES
from ncgopt.runtime import Worker
from ncgopt.runtime.worker import _resolve  # pyright: ignore[reportPrivateUsage]
from ncgopt.settings import Settings, Target

MEMORY = "memory"
"""In the place of a target: the default one, and the passes that lower the peak of a run."""
_EAGER = {"split-for-memory": {"least": 0, "trials": 4, "pieces": 4}}  # these models take next to nothing
CLAIMS = {entry.name: entry.claim for entry in (*RULES, *PASSES)}


class _Here(Worker):
    """Folds in this process: it is a child itself, and a pipe costs more than a tiny model."""

    def call(self, function: str, *args: Any, timeout: float | None = None) -> Any:
        return _resolve(function)(*args)


@dataclass(frozen=True)
class Optimized:
    """The result, the changes that led to it, what broke of the interface, and what failed and was left out."""

    model: onnx.ModelProto
    rewrites: list[Rewrite]
    broken: tuple[str, ...]
    faults: list[Rewrite]

    @property
    def fired(self) -> Counter[str]:
        return Counter(rewrite.source for rewrite in self.rewrites)

    @property
    def is_exact(self) -> bool:
        return all(CLAIMS[source] is Claim.EXACT for source in self.fired)

    @property
    def is_ranged(self) -> bool:
        """Whether the result is the same only in ranges: a rule that holds for finite numbers and no empty tensors."""
        return any(CLAIMS[source] is Claim.RANGED for source in self.fired)


def optimize(model: onnx.ModelProto, target: str, limit: int | None = None) -> Optimized:
    """All steps of the default preset, as `ncgopt optimize --no-verify` runs them; at most `limit` changes."""
    settings, plan = _plan(target)
    loaded = models.from_proto(model).model
    contract = models.Contract.of(loaded)
    session = Session(loaded, limit=limit, worker=_Here())
    runner = Runner(loaded, session, Report(model="", version=""), _silent)
    runner.once(plan.lossy)
    runner.to_fixpoint(plan.steps, settings.max_cycles)
    if runner.once(plan.closing):
        runner.to_fixpoint(plan.everything, settings.max_cycles)
    broken = contract.differences(models.Contract.of(loaded))
    return Optimized(models.to_proto(loaded), session.rewrites, broken, list(session.faults))


@cache
def _plan(target: str) -> tuple[Settings, Any]:
    settings = Settings(target=Target(target)) if target != MEMORY else Settings(objective="memory", options=_EAGER)
    return settings, make_plan(settings)


def _silent(_: str) -> None:
    return


@contextmanager
def without_guard(rule: str, guard: str) -> Iterator[None]:
    """The rule with one of its guards taken out, until the block ends."""
    cls = next(type(r) for r in RULES if r.name == rule)
    kept = cls.requires, cls.pays
    cls.requires = tuple(g for g in cls.requires if g.name != guard)
    cls.pays = tuple(g for g in cls.pays if g.name != guard)
    try:
        yield
    finally:
        cls.requires, cls.pays = kept
