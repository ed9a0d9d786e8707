"""One run of a plan on a freshly loaded model, with all changes or only the first few."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import onnx_ir as ir

from ncgopt import model as models
from ncgopt.errors import UnsoundRewrite
from ncgopt.facts.declared import contradictions
from ncgopt.passes import Pass
from ncgopt.passes.apply_rules import ApplyRules
from ncgopt.pipeline.bind import bind_dimensions
from ncgopt.pipeline.plan import make_plan
from ncgopt.pipeline.run import Progress, Runner, protect
from ncgopt.records import record
from ncgopt.report import Report
from ncgopt.rewrite import integrity
from ncgopt.rewrite.avoided import Avoided
from ncgopt.rewrite.session import Session
from ncgopt.runtime import Worker
from ncgopt.search.replay import Replay, Step
from ncgopt.settings import Settings

_NOTHING = Avoided()


@record
class Start:
    """A model as it is before any rule is applied.

    Attributes:
        model: the model.
        session: its session.
        rules: the rules that would be applied next.
    """

    model: ir.Model
    session: Session
    rules: ApplyRules


def _silent(_: str) -> None:
    return


class Attempt:
    """Load, protect, bind, and run.

    Args:
        path: the model.
        settings: what to do.
        worker: child process for everything that ONNX Runtime must compute.
        limit: number of changes after which to stop; None for no limit. The same settings make the
            same changes in the same order each time, which is what lets bisection blame one.
        avoided: changes to leave out.
        steps: rewrites to make first, whether they pay or not, see `ncgopt.search`.

    Attributes:
        loaded: the model, changed in place by `run`.
        contract: what must survive, with `settings.bind` and `settings.opset` applied.
        report: what happened.
    """

    def __init__(
        self,
        path: Path,
        settings: Settings,
        worker: Worker,
        *,
        limit: int | None = None,
        avoided: Avoided = _NOTHING,
        steps: Sequence[Step] = (),
    ) -> None:
        self._plan = make_plan(settings)
        self._steps = tuple(steps)
        self._settings = settings
        self.loaded = models.load(path, trust_links=settings.trust_links)
        self.report = Report(model=str(path), version=version("ncgopt"), repairs=list(self.loaded.repairs))
        self.report.before = models.stats(self.loaded.model, self.loaded.file_bytes)
        if settings.strip_debug:
            models.strip(self.loaded.model)
        self._remarks = models.Remarks.of(self.loaded.model)
        self.contract = models.Contract.of(self.loaded.model).bind(settings.bind)
        bind_dimensions(self.loaded.model, settings.bind)
        protect(self.loaded.model, settings.keep)
        self._session = Session(
            self.loaded.model, limit=limit, avoided=avoided, tolerant=not settings.strict, worker=worker
        )
        self._session.seconds = settings.timeout
        self.report.contradictions = contradictions(self.loaded.model)
        if settings.opset is not None:
            self._upgrade(settings.opset)

    def _upgrade(self, version: int) -> None:
        """First of all, and no rewrite: bisection finds fault with rewrites only, whatever the operator set."""
        from ncgopt import opset  # not needed where the operator set stays

        def runs(opset_version: int, ir_version: int) -> bool:
            return self._session.worker.call("ncgopt.runtime.opsets:accepts", opset_version, ir_version)

        model = self.loaded.model
        interface = integrity.interface(model)
        change = self.report.opset = opset.upgrade(model, version, self._session.fresh_name, runs)
        self.contract = opset.expected_contract(self.contract, change)
        who = f"the upgrade to operator set {version}"
        integrity.check(model, interface, who)
        broken = self.contract.differences(models.Contract.of(model))
        if broken:
            raise UnsoundRewrite(f"{who}: {broken[0]}; this is a bug in it")

    @property
    def is_lossy(self) -> bool:
        """Whether the plan has passes that change what the model computes."""
        return bool(self._plan.lossy)

    def prepare(self, progress: Progress = _silent) -> Start:
        """Run only what comes before the rules: where a search begins."""
        Runner(self.loaded.model, self._session, self.report, progress).once((*self._plan.lossy, *self._first))
        rules = next((step for step in self._plan.steps if isinstance(step, ApplyRules)), ApplyRules())
        return Start(self.loaded.model, self._session, rules)

    @property
    def _first(self) -> tuple[Pass, ...]:
        """The passes before the first rules."""
        return tuple(itertools.takewhile(lambda step: not isinstance(step, ApplyRules), self._plan.steps))

    def run(self, progress: Progress = _silent, after_lossy: Callable[[], None] | None = None) -> None:
        """Run the plan; `after_lossy` is called between the lossy passes and the rest.

        Raises:
            UnsoundRewrite: a rule or pass broke a promise, or the contract, or failed, after it had changed
                something. What failed before that was left out, see `report.rolled_back`.
        """
        report = self.report
        runner = Runner(self.loaded.model, self._session, report, progress)
        try:
            runner.once(self._plan.lossy)
            if after_lossy is not None:
                after_lossy()
            if self._steps:
                runner.once((*self._first, Replay(self._steps, self._settings.target)))
            runner.to_fixpoint(self._plan.steps, self._settings.max_cycles)
            if runner.once(self._plan.closing):
                runner.to_fixpoint(self._plan.everything, self._settings.max_cycles)
        finally:
            report.rewrites = self._session.rewrites
            report.rolled_back = list(self._session.faults)
            report.refusals = self._session.refusals()
            report.lost = self._remarks.lost(models.Remarks.of(self.loaded.model))
            report.after = runner.stats
