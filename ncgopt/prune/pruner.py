"""One model with its data, and as many pruned versions of it as are asked for."""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

from ncgopt import facts
from ncgopt import model as models
from ncgopt.errors import UnsoundRewrite, Usage
from ncgopt.pipeline import optimize
from ncgopt.prune import accounting, moments, quality
from ncgopt.prune.calibration import Batch, Data, batches, check, load_function, working_folder
from ncgopt.prune.layers import Layer, find_layers
from ncgopt.prune.report import GroupOutcome, Latency
from ncgopt.prune.settings import PruneSettings
from ncgopt.prune.structured import blocks, removal
from ncgopt.prune.structured import prune as structured
from ncgopt.prune.synthetic import accepted_binding
from ncgopt.prune.unstructured import prune as single
from ncgopt.prune.unstructured.order import stages
from ncgopt.runtime.process import Worker
from ncgopt.settings import Settings
from ncgopt.verify.inputs import Survey

Progress = Callable[[str], None]
_OTHERS = 1 << 20  # seeds apart: random data that calibration did not see
_SOME = 64  # samples on which blocks are left out
_LATENCY_SECONDS = 1.0
_SAME = 1e-6  # of the output's variance: what rounding may make of two models that compute the same


@dataclasses.dataclass(frozen=True)
class Pruned:
    """A pruned model and what is to be said about it.

    Attributes:
        path: where it is; not optimized yet.
        asked: share of zeros asked for, by name of the weight.
        groups, left, notes: as in `PruneReport`.
    """

    path: Path
    asked: Mapping[str, float] = dataclasses.field(default_factory=dict[str, float])
    groups: tuple[GroupOutcome, ...] = ()
    left: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Pruner:
    """Checks the data, optimizes the model, and prunes copies of it.

    Args:
        source: the model as given.
        settings: what to do.
        worker: process in which ONNX Runtime runs.
        folder: for passing files.
        say: told what begins.

    Attributes:
        base: the model that is pruned: optimized, unless that was switched off.
        samples: number of calibration samples.
        first: the first batch, for latencies and FLOPs.
        binding: sizes of the symbolic dimensions in it.

    Raises:
        Usage, InputUnreadable: data or metric cannot be used for this model.
    """

    def __init__(self, source: Path, settings: PruneSettings, worker: Worker, folder: Path, say: Progress) -> None:
        self.source, self.settings, self.worker, self.folder, self.say = source, settings, worker, folder, say
        models.load(source)  # tells a damaged file from data that do not fit
        if ":" in settings.metric:
            load_function(settings.metric, working_folder())
        self.survey: Survey = worker.call("ncgopt.verify.survey:survey", source.absolute())
        self.data = self._data(settings.data)
        self.eval_data = self._data(settings.eval_data) if settings.eval_data is not None else self.data
        self.data = dataclasses.replace(self.data, labelled=False)
        self.samples = check(self.data, self.survey)
        self.first: Batch = next(batches(self.data, self.survey))
        if settings.eval_data is not None:
            check(self.eval_data, self.survey)
        elif settings.synthetic:
            self.eval_data = dataclasses.replace(self.eval_data, skip=_OTHERS)
        else:
            self._hold_out()
        self.binding = accounting.binding_of(self.survey, self.first.feeds)
        self.base = self._base()
        self._serial = 0
        self._known: dict[str | None, moments.Moments] = {}

    def _hold_out(self) -> None:
        """Keep the last quarter of the samples from calibration, so that the quality is that on data not seen before.

        Too few for two batches are used for both.
        """
        seen = -(-self.samples * 3 // 4 // self.first.count) * self.first.count
        if 0 < seen < self.samples:
            self.data = dataclasses.replace(self.data, samples=seen)
            self.eval_data = dataclasses.replace(self.eval_data, skip=seen, samples=self.samples - seen)
            self.samples = seen

    def _data(self, source: str | None) -> Data:
        settings = self.settings
        if source is None and not settings.synthetic:
            raise Usage("prune: needs data: --data FILE.npz, DIR or module:function, or --synthetic to do without")
        binding: Mapping[str, int] = {}
        if source is None:
            binding = accepted_binding(self.worker, self.source.absolute(), self.survey, settings.seed)
        return Data(source, working_folder(), settings.batch, settings.samples, settings.labels, binding, settings.seed)

    def _base(self) -> Path:
        """Optimized, or at least with weights where they are looked for: some exporters write Constant nodes."""
        if self.settings.optimize:
            return self.optimized(self.source, "base.onnx")
        output = self.folder / "base.onnx"
        optimize(self.source, Settings(passes=("lift-constants",), verify=False), output=output, worker=self.worker)
        return output

    def optimized(self, model: Path, name: str) -> Path:
        """The model as `optimize` leaves it, verified; itself where that was switched off."""
        if not self.settings.optimize:
            return model
        self.say("optimizing")
        output = self.folder / name
        optimize(model, Settings(keep=self.settings.keep), output=output, worker=self.worker)
        return output

    def pruned(self, settings: PruneSettings, own: Mapping[str, float] | None = None, *, check: bool = True) -> Pruned:
        """A copy of the base model, pruned.

        Args:
            settings: what to do, in place of those that this was made with.
            own: shares of layers or groups, by name.
            check: whether to run the check of a cut; trials that are only measured do without.
        """
        if settings.unit == "blocks":
            return self._without_blocks(settings)
        if settings.structured:
            return self._structured(settings, own or {}, check=check)
        return self._single(settings, own or {})

    def quality(self, candidates: Sequence[Path]) -> list[quality.Quality]:
        """Of each candidate, against the model as given."""
        self.say("measuring quality")
        source, metric = self.source.absolute(), self.settings.metric
        return quality.evaluate(source, candidates, self.eval_data, self.survey, metric, self.worker)

    def latency(self, candidate: Path, seconds: float) -> Latency:
        """Of a candidate against the model as given, on the first batch."""
        feeds, threads = self.first.feeds, self.settings.threads
        return accounting.latency_of(self.source, candidate, feeds, self.folder, threads=threads, seconds=seconds)

    def load(self, path: Path) -> ir.Model:
        """A model with what is known about its shapes."""
        model = models.load(path).model
        facts.survey(model)
        facts.forget()
        return model

    def save(self, model: ir.Model) -> Path:
        """A file for the model as it is now."""
        self._serial += 1
        path = self.folder / f"candidate_{self._serial}.onnx"
        models.save(model, path)
        return path

    def calibrate(
        self, model: ir.Model, layers: Sequence[Layer], reference: ir.Model | None = None
    ) -> dict[int, moments.Moments]:
        """Moments of the layers' inputs in the model as it is now, and with those in the reference."""
        self.say("calibrating")
        return moments.collect(model, layers, self.data, self.survey, self.worker, self.folder, reference)

    def _calibrate_base(self, model: ir.Model, layers: Sequence[Layer]) -> dict[int, moments.Moments]:
        """The same for a model whose weights are those of the base; kept, since every trial begins there."""
        missing = [layer for layer in layers if layer.weight.name not in self._known and layer.observable]
        for key, found in (self.calibrate(model, missing) if missing else {}).items():
            self._known[missing[key].weight.name] = found
        return {key: self._known[one.weight.name] for key, one in enumerate(layers) if one.weight.name in self._known}

    def _single(self, settings: PruneSettings, own: Mapping[str, float]) -> Pruned:
        model = self.load(self.base)
        exactly = {glob.escape(name): share for name, share in own.items()}
        settings = dataclasses.replace(settings, layers={**exactly, **settings.layers})
        plan = single.plan(find_layers(model, settings), settings)

        def calibrate(layers: Sequence[Layer], changed: bool) -> Mapping[int, moments.Moments]:
            if not changed:
                return self._calibrate_base(model, layers)
            return self.calibrate(model, layers, self.load(self.base) if settings.method == "obs" else None)

        self.say("pruning")
        most = settings.stages if settings.method == "obs" and settings.schedule != "constant" else 1
        order = stages(model.graph, plan.layers, most)
        notes = single.prune(plan, settings, order, calibrate if settings.needs_data else None)
        asked = {layer.weight.name or "": share for layer, share in zip(plan.layers, plan.shares, strict=True)}
        return Pruned(self.save(model), asked, (), plan.left, tuple(notes))

    def _structured(self, settings: PruneSettings, own: Mapping[str, float], *, check: bool) -> Pruned:
        path, before, outcome, left = self.base, dict[str, int](), tuple[GroupOutcome, ...](), tuple[str, ...]()
        for step in range(1, settings.steps + 1) if settings.schedule == "polynomial" else (settings.steps,):
            model = self.load(path)
            on = self._calibrate_base if path == self.base else self.calibrate
            calibrate = on if settings.needs_data else None
            self.say("pruning")
            at = structured.AtStep(step, settings, own, before)
            choice, found = structured.choose(model, at, calibrate)
            if check:
                self._check_cut(path, settings, choice.gone)
            structured.apply(model, choice, found, settings)
            outcome = structured.outcomes(choice)
            before = before or {group.name: group.before for group in outcome}
            left = choice.channels.left
            path = self.save(model)
        whole = tuple(dataclasses.replace(group, before=before[group.name]) for group in outcome)
        return Pruned(path, {}, whole, left)

    def without(self, choices: Sequence[Sequence[str]]) -> list[quality.Quality]:
        """What models without these residual blocks give on some of the calibration data, against all blocks."""
        some = dataclasses.replace(self.data, samples=min(self.data.samples, _SOME))
        found: list[quality.Quality] = []
        for choice in choices:
            model = self.load(self.base)
            blocks.remove(model, choice, self.settings)
            path = self.save(model)
            found += quality.evaluate(self.base, [path], some, self.survey, "mse", self.worker)
            path.unlink()
        return found

    def _without_blocks(self, settings: PruneSettings) -> Pruned:
        found = removal.found_in(self.load(self.base), settings)

        def errors(choices: Sequence[Sequence[str]]) -> list[float]:
            self.say("looking for the block that matters least")
            return [one.drop for one in self.without(choices)]

        gone = removal.choose(found, errors, lambda names: self._enough(names, len(found.blocks), settings))
        model = self.load(self.base)
        blocks.remove(model, gone, settings)
        if settings.method == "obs":
            self.say("fitting what stays")
            removal.make_up(model, gone, settings, lambda layers: self.calibrate(model, layers, self.load(self.base)))
        groups = tuple(GroupOutcome(block.name, 1, int(block.name not in gone)) for block in found.blocks)
        return Pruned(self.save(model), {}, groups, found.left)

    def _enough(self, gone: Sequence[str], count: int, settings: PruneSettings) -> bool:
        """Whether as many blocks are gone as were asked for: a share of them, or for a size or latency."""
        if settings.target_size is None and settings.target_latency is None:
            return len(gone) >= max(1, round(settings.sparsity * count))
        model = self.load(self.base)
        blocks.remove(model, gone, settings)
        path = self.optimized(self.save(model), "trial.onnx")
        if settings.target_size is not None:
            return path.stat().st_size <= settings.target_size * self.source.stat().st_size
        assert settings.target_latency is not None
        return bool(gone) and 1 / self.latency(path, _LATENCY_SECONDS).ratio <= settings.target_latency

    def _check_cut(self, path: Path, settings: PruneSettings, gone: Sequence[int]) -> None:
        """Cut out or silenced, the units must be gone alike.

        Raises:
            UnsoundRewrite: they are not.
        """
        silent, short = structured.twins(lambda: self.load(path), settings, gone, self.save)
        few = dataclasses.replace(self.data, samples=self.settings.batch)
        found = quality.evaluate(silent, [short], few, self.survey, "mse", self.worker)[0]
        if not found.drop <= _SAME:
            raise UnsoundRewrite(
                f"{self.source}: with its channels cut out the model computes something else than with them silenced "
                f"(by {found.drop:.2g} of the variance); nothing was written; please report this"
            )
