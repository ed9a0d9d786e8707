"""Compute in pieces what would be large as a whole."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from ncgopt import facts
from ncgopt.memory.prediction import Prediction
from ncgopt.memory.region import Cut, Places, Region, grow, pieces_of, places, saving
from ncgopt.memory.trial import Trials, bindings, default_binding
from ncgopt.passes._pieces import PIECE, Cutter, can_be_cut
from ncgopt.passes.base import Pass
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session, where

_NEAR = 0.93  # of the peak: steps that become the next one
_LEAST = 0.2  # of the peak: a tensor that is worth a look
_GAIN = 0.97  # what a region may take afterwards, of what it took
_FURTHER = 8  # nodes below a large tensor at which pieces may be put together again
_COMPARED = 3  # changes that lower the peak, of which the best is taken
_SHARE = 0.5  # of the time of a pass, after which nothing more is tried
_TRIED = 3  # candidates per large tensor that are tried


@dataclass(frozen=True)
class SplitForMemory(Pass):
    """Where a run takes most memory, a part of the graph is computed piece by piece.

    Windows of an image through the first layers, heads of an attention, hidden units between two matrix products,
    channels of a Concat into the convolution that reads it: what lies between is never there as a whole. Each
    change is kept only if the peak that is predicted for ONNX Runtime falls, or fewer steps come near it.
    Sums over pieces are rounded otherwise.
    """

    name = "split-for-memory"
    claim = Claim.ROUNDS
    closing = True

    at: tuple[str, ...] = field(
        default=(), metadata={"help": "sizes of symbolic dimensions that the peak is predicted at, as NAME=N"}
    )
    pieces: int = field(default=8, metadata={"help": "into how many even pieces something is cut at most"})
    least: int = field(default=1 << 20, metadata={"help": "bytes; a peak below that is left as it is"})
    trials: int = field(default=60, metadata={"help": "how many changed models ONNX Runtime is asked about"})

    def run(self, model: ir.Model, session: Session) -> int:
        """Find what pays on copies, then do it."""
        if session.exhausted or self.name in session.avoided.sources:
            return 0
        trials = Trials(session.compute, default_binding(model.graph, bindings(self.at)))
        count = 0
        for cut in _Search(model, session, trials, self).cuts():
            region = _found(model.graph, cut)
            if region is not None and session.spend(self.name, where(region.nodes[-1])):
                _cut(model.graph, region, cut, session)
                count += 1
        return count


@dataclass
class _Search:
    """Which cuts lower the peak."""

    model: ir.Model
    session: Session
    trials: Trials
    options: SplitForMemory
    left: int = 0

    def cuts(self) -> list[Cut]:
        """What is worth doing, in order."""
        self.left = self.options.trials
        end = time.monotonic() + self.session.seconds * _SHARE
        taken: list[Cut] = []
        refused: set[Cut] = set()
        current = self._copy()
        best = self.trials.of(current)
        while best is not None and best.peak_bytes >= self.options.least and self.left > 0 and time.monotonic() < end:
            better: list[tuple[Prediction, ir.Model, list[Cut]]] = []
            for wanted in _together(current.graph, best, self.trials, refused, self.options.pieces):
                copy, prediction = self._tried([*taken, *wanted])
                if prediction is not None and _is_better(prediction, best):
                    better.append((prediction, copy, wanted))
                else:
                    refused.update(wanted if len(wanted) == 1 else ())
                if self.left <= 0 or len(better) >= _COMPARED or time.monotonic() > end:
                    break
            if not better:
                return taken
            limit = best.peak_bytes * _NEAR
            best, current, wanted = min(better, key=lambda one: (one[0].peak_bytes, _near(one[0], limit)))
            taken += wanted
        return taken

    def _tried(self, cuts: Sequence[Cut]) -> tuple[ir.Model, Prediction | None]:
        self.left -= 1
        copy = self._copy()
        session = Session.of(copy)
        for cut in cuts:
            region = _found(copy.graph, cut)
            if region is None:
                return copy, None
            _cut(copy.graph, region, cut, session)
        facts.survey(copy)
        return copy, self.trials.of(copy)

    def _copy(self) -> ir.Model:
        copy = self.model.clone()
        session = Session(copy, worker=self.session.worker)
        session.resume(self.session)
        return copy


def _is_better(new: Prediction, old: Prediction) -> bool:
    """A lower peak; or the same one at fewer steps."""
    near = old.peak_bytes * _NEAR
    if new.peak_bytes < near:
        return True
    return new.peak_bytes <= old.peak_bytes and _near(new, near) < _near(old, near) * _GAIN


def _near(prediction: Prediction, bytes: float) -> int:
    """What is taken above a limit, over all steps."""
    return sum(max(0, int(step.total - bytes)) for step in prediction.steps)


def _together(graph: ir.Graph, now: Prediction, trials: Trials, refused: set[Cut], most: int) -> Iterator[list[Cut]]:
    """Sets of cuts to try: at all places near the peak at once, then one by one."""
    found: list[list[Cut]] = []
    at = places(graph)
    for value in _large(graph, now):
        ranked = [cut for cut in _candidates(value, trials, most, at) if cut not in refused][:_TRIED]
        if ranked:
            found.append(ranked)
    for rank in range(_TRIED):
        chosen: dict[str, Cut] = {}
        for ranked in found:
            if rank < len(ranked):
                chosen.setdefault(ranked[rank].exit, ranked[rank])
        if len(chosen) > 1:
            yield list(chosen.values())
    seen: set[Cut] = set()
    for ranked in found:
        for cut in ranked:
            if cut not in seen:
                seen.add(cut)
                yield [cut]


def _large(graph: ir.Graph, now: Prediction) -> Iterator[ir.Value]:
    """The large values of the graph that are there at steps near the peak, those of the peak itself first."""
    named = {value.name: value for node in graph for value in node.outputs if value.name}
    by_node = {node.name: node.outputs[0] for node in graph if node.name}
    steps = [place for place, step in enumerate(now.steps) if step.total >= now.peak_bytes * _NEAR]
    seen: set[ir.Value] = set()
    for step in sorted(steps, key=lambda place: -now.steps[place].total):
        for held in now.alive(step):
            if held.bytes < now.peak_bytes * _LEAST:
                break
            made = now.steps[held.first].node
            names = (held.value, made.removesuffix("_nchwc"))
            value = next((named[name] for name in names if name in named), by_node.get(made.split("/")[0]))
            if value is not None and value not in seen:
                seen.add(value)
                yield value


def _candidates(value: ir.Value, trials: Trials, most: int, at: Places) -> list[Cut]:
    """Ways to compute a value in pieces, the one that is estimated to take least first."""
    found: list[tuple[int, int, Cut]] = []
    for exit in _below(value):
        root = exit.producer()
        if root is not None and PIECE in (root.name or ""):
            continue  # one cut is enough: pieces of pieces cost more than they save
        dims = facts.shape(exit) or ()
        axes: list[int | None] = [axis for axis, dim in enumerate(dims) if isinstance(dim, int) and dim > 1]
        for axis in (*axes, None):
            for region in grow(exit, axis, at):
                if not any(value in node.inputs or value in node.outputs for node in region.nodes):
                    continue
                for pieces in pieces_of(region, most):
                    before, after = saving(region, pieces, trials.size)
                    if after < before * _GAIN and exit.name and can_be_cut(region, pieces):
                        cost = int(after * (1 + 0.02 * len(pieces)))
                        found.append(
                            (cost - before, len(region.nodes), Cut(exit.name, axis, len(region.nodes), pieces))
                        )
    return [cut for _, _, cut in sorted(found, key=lambda one: one[:2])]


def _below(value: ir.Value) -> Iterable[ir.Value]:
    """A value and what is computed from it, a few nodes far."""
    found = {value: None}
    edge = [value]
    while edge and len(found) < _FURTHER:
        edge = [use.node.outputs[0] for one in edge for use in one.uses() if len(use.node.outputs) == 1]
        found.update(dict.fromkeys(edge))
    return found


def _found(graph: ir.Graph, cut: Cut) -> Region | None:
    """The region that a cut names, in this copy of the graph."""
    exit = next((v for node in graph for v in node.outputs if v.name == cut.exit), None)
    if exit is None:
        return None
    for region in grow(exit, cut.axis, places(graph)):
        if len(region.nodes) == cut.size:
            return region if can_be_cut(region, cut.pieces) else None
    return None


def _cut(graph: ir.Graph, region: Region, cut: Cut, session: Session) -> None:
    Cutter(graph, region, session).cut(cut.pieces)
    facts.forget()
