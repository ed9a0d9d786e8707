"""What one optimization run shares between its rules and passes: names, budget, log, worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.marks import mark_of
from ncgopt.report import Refusal, Rewrite
from ncgopt.runtime import Worker

_KEY = "ncgopt.session"


class Session:
    """State of one run over one model, found again through the model (`Session.of`).

    Attributes:
        rewrites: every change made so far, in order.
        limit: number of changes after which no more are made; what bisection searches over.
        avoid: changes, as source and place, that are never made: they were found at fault before.
        worker: the child process in which ONNX Runtime runs.
    """

    def __init__(
        self,
        model: ir.Model,
        *,
        limit: int | None = None,
        avoid: frozenset[tuple[str, str]] = frozenset(),
        worker: Worker | None = None,
    ) -> None:
        self.avoid = avoid
        self.rewrites: list[Rewrite] = []
        self.limit = limit
        self.worker = worker if worker is not None else Worker()
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

    @staticmethod
    def of(model: ir.Model) -> Session:
        """The session of `model`; one without a limit is made where there is none."""
        found = mark_of(model, _KEY)
        return found if isinstance(found, Session) else Session(model)

    def spend(self, source: str, where: str) -> bool:
        """Ask for one change by rule or pass `source` at `where`; False means: leave it."""
        if self.exhausted or (source, where) in self.avoid:
            return False
        self.rewrites.append(Rewrite(len(self.rewrites), source, where))
        return True

    @property
    def exhausted(self) -> bool:
        """Whether `spend` says no to everything from now on."""
        return self.limit is not None and len(self.rewrites) >= self.limit

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


def all_graphs(model: ir.Model) -> Iterator[ir.Graph]:
    """The main graph, its subgraphs, and the bodies of local functions with theirs."""
    yield model.graph
    yield from model.graph.subgraphs()
    for function in model.functions.values():
        yield function.graph
        yield from function.graph.subgraphs()


def all_nodes(model: ir.Model) -> Iterator[ir.Node]:
    """Every node of every graph, a node before the nodes of its subgraphs."""
    yield from model.graph.all_nodes()
    for function in model.functions.values():
        yield from function.all_nodes()


def subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    """The graphs that `node` holds as attributes, not those inside them."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def _all_names(model: ir.Model) -> Iterator[str | None]:
    for graph in all_graphs(model):
        yield from (value.name for value in graph.inputs)
        yield from graph.initializers
        for node in graph:
            yield node.name
            yield from (value.name for value in node.outputs)
