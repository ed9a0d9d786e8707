"""One run of a plan on a freshly loaded model, with all changes or only the first few."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from ncgopt import model as models
from ncgopt.errors import UnsoundRewrite
from ncgopt.facts.declared import contradictions
from ncgopt.pipeline.bind import bind_dimensions
from ncgopt.pipeline.plan import make_plan
from ncgopt.pipeline.run import Progress, Runner, protect
from ncgopt.report import Report
from ncgopt.rewrite import integrity
from ncgopt.rewrite.avoided import Avoided
from ncgopt.rewrite.session import Session
from ncgopt.runtime import Worker
from ncgopt.settings import Settings

_NOTHING = Avoided()


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
    ) -> None:
        self._plan = make_plan(settings)
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
            runner.to_fixpoint(self._plan.steps, self._settings.max_cycles)
            if runner.once(self._plan.closing):
                runner.to_fixpoint(self._plan.everything, self._settings.max_cycles)
        finally:
            report.rewrites = self._session.rewrites
            report.rolled_back = list(self._session.faults)
            report.refusals = self._session.refusals()
            report.lost = self._remarks.lost(models.Remarks.of(self.loaded.model))
            report.after = runner.stats
