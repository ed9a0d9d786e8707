"""What one optimization run shares between its rules and passes: names, budget, log, worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import onnx_ir as ir

from ncgopt import facts
from ncgopt.errors import NcgoptError
from ncgopt.facts.marks import mark_of
from ncgopt.facts.nesting import graphs_within, nodes_within
from ncgopt.model.scratch import Scratch
from ncgopt.report import Refusal, Rewrite, RollbackScope, RolledBack
from ncgopt.rewrite.avoided import Avoided, place_of
from ncgopt.rewrite.worklist import Worklist
from ncgopt.runtime import Worker, WorkerDied
from ncgopt.runtime.watchdog import Watchdog

_KEY = "ncgopt.session"
_MAX_FAULTS = 8  # of one rule or pass; one that fails more often than this will go on failing
_NOTHING = Avoided()


class Session:
    """State of one run over one model, found again through the model (`Session.of`).

    Attributes:
        rewrites: every change made so far, in order.
        limit: number of changes after which no more are made; what bisection searches over.
        avoided: changes that are never made: they were found at fault before, or just now.
        faults: what failed before it changed anything, and was left out.
        worker: the child process in which ONNX Runtime runs.
        scratch: where large new weights wait.
        structure: what the model looks like (`integrity.snapshot`), while passes follow one another and nothing
            else changes it; None otherwise.
        worklist: where rules have found nothing to do.
        thorough: whether the engine makes sure that nothing fires anywhere, also where nothing changed near.
        seconds: time that one pass may take.
        watchdog: ends a pass that takes longer, and knows which rule or pass is running.
    """

    def __init__(
        self,
        model: ir.Model,
        *,
        limit: int | None = None,
        avoided: Avoided = _NOTHING,
        tolerant: bool = False,
        worker: Worker | None = None,
    ) -> None:
        """`tolerant`: whether `fault` leaves out what failed and goes on, instead of raising."""
        self.avoided = avoided
        self.faults: list[RolledBack] = []
        self._tolerant = tolerant
        self.rewrites: list[Rewrite] = []
        self.limit = limit
        self.structure: list[object] | None = None
        self.worklist = Worklist()
        self.thorough = True
        self.worker = worker if worker is not None else Worker()
        self.seconds = 600.0
        self.watchdog = Watchdog()
        self._wasted = 0.0
        self.scratch = Scratch()
        self._refusals: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], str] = {}
        self._names: set[str] = set()
        self._counts: Counter[str] = Counter()
        self.adopt(model)

    def adopt(self, model: ir.Model) -> None:
        """Take over `model`, or what a pass made of its graph: learn its names, trust its inputs."""
        self._names.update(name for name in _all_names(model) if name)
        facts.survey(model)
        facts.forget()
        model.meta[_KEY] = self

    def resume(self, other: Session) -> None:
        """Take names as `other` does, which has worked on a copy of the same model, from here on."""
        self._names |= other._names
        self._counts.update(other._counts)

    @staticmethod
    def of(model: ir.Model) -> Session:
        """The session of `model`; one without a limit is made where there is none."""
        found = mark_of(model, _KEY)
        return found if isinstance(found, Session) else Session(model)

    def spend(self, source: str, where: str) -> bool:
        """Ask for one change by rule or pass `source` at `where`; False means: leave it."""
        if self.exhausted or self.avoided.covers(source, where):
            return False
        self.rewrites.append(Rewrite(len(self.rewrites), source, where))
        return True

    @property
    def exhausted(self) -> bool:
        """Whether `spend` says no to everything from now on."""
        return self.limit is not None and len(self.rewrites) >= self.limit

    def fault(self, source: str, where: str, error: Exception) -> None:
        """Leave out what `source` would have done at `where`, where it failed and has changed nothing yet.

        Raises:
            Exception: `error` itself, unless this session is tolerant.
        """
        if not self._tolerant:
            raise error
        self.leave_out(source, where, describe(error))

    def leave_out(self, source: str, where: str, reason: str) -> None:
        """Note that `source` failed at `where`, and is not to try that again; the same fault is noted once."""
        if any(f.source == source and place_of(f.where) == place_of(where) for f in self.faults):
            return
        often = sum(f.source == source for f in self.faults) + 1 >= _MAX_FAULTS
        self.avoided = self.avoided.everywhere(source) if often else self.avoided.at(source, where)
        scope: RollbackScope = "everywhere" if often else "place"
        self.faults.append(RolledBack(len(self.rewrites), source, where, scope, reason))

    def compute(self, function: str, *args: Any) -> Any:
        """Call a function in the child on behalf of a pass (`Worker.call`), with a share of the pass's time.

        A call gets half of what earlier calls in vain left of it, so that after one that does not end
        the pass can still try in smaller parts.

        Raises:
            WorkerDied: the child crashed, or ran out of time or memory; the next call starts a new one.
        """
        limit = (self.seconds - self._wasted) / 2
        try:
            return self.worker.call(function, *args, timeout=limit)
        except WorkerDied as death:
            if death.timed_out:
                self._wasted += limit
            raise

    def refuse(self, rule: str, guard: str, where: str) -> None:
        """Note that `guard` of `rule` said no at `where`."""
        self._refusals[rule, guard] += 1
        self._examples.setdefault((rule, guard), where)

    def refusals(self) -> list[Refusal]:
        """All refusals so far, most frequent first."""
        return [Refusal(r, g, n, self._examples[r, g]) for (r, g), n in self._refusals.most_common()]

    def fresh_name(self, wish: str) -> str:
        """A name that nothing in the model has, in any scope: `wish`, or `wish` with a number."""
        name = wish
        while name in self._names:
            self._counts[wish] += 1
            name = f"{wish}_{self._counts[wish]}"
        self._names.add(name)
        return name


def describe(error: Exception) -> str:
    """One line: what a deliberate error says, or the kind and text of any other."""
    text = " ".join(str(error).split())
    return text if isinstance(error, NcgoptError) else f"{type(error).__name__}: {text}".removesuffix(": ")


def where(node: ir.Node) -> str:
    """How a node is named to people."""
    named = node.name or next((v.name for v in node.outputs if v.name), None) or "?"
    return f"{node.op_type} {named}"


def all_graphs(model: ir.Model) -> list[ir.Graph]:
    """The main graph, its subgraphs, and the bodies of local functions with theirs."""
    found = graphs_within(model.graph)
    for function in model.functions.values():
        found += graphs_within(function.graph)
    return found


def all_nodes(model: ir.Model) -> Iterator[ir.Node]:
    """Every node of every graph, a node before the nodes of its subgraphs."""
    yield from nodes_within(model.graph)
    for function in model.functions.values():
        yield from nodes_within(function.graph)


def _all_names(model: ir.Model) -> Iterator[str | None]:
    for graph in all_graphs(model):
        yield from (value.name for value in graph.inputs)
        yield from graph.initializers
        for node in graph:
            yield node.name
            yield from (value.name for value in node.outputs)
