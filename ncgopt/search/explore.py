"""Best-first search over sequences of rewrites of one window."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from ncgopt import facts
from ncgopt.errors import NcgoptError
from ncgopt.rewrite.avoided import Avoided, place_of
from ncgopt.rewrite.engine import AnyRule, Engine, where
from ncgopt.rewrite.session import Session
from ncgopt.search.estimate import Costs, estimate, improves, relative
from ncgopt.search.replay import Step, willing
from ncgopt.settings import Target

_WORSE = 2.0  # times the cost of the window that a state may have on the way; TASO's alpha
_DEPTH = 4  # steps
_STATES = 200  # per window


@dataclass(frozen=True)
class Discovery:
    """A sequence that greedy rules do not find.

    Attributes:
        steps: in their order; greedy rules do the rest.
        greedy: estimated cost of what greedy rules make of the window, per choice of sizes.
        costs: the same after the steps.
        before, after: the window as greedy rules leave it, without and with the steps.
    """

    steps: tuple[Step, ...]
    greedy: Costs
    costs: Costs
    before: ir.Model
    after: ir.Model


@dataclass(frozen=True)
class Moves:
    """What a search may do.

    Attributes:
        rules: what greedy rewriting applies.
        forced: what the search applies, whether it pays or not.
        target: operators that may be used.
        avoided: changes that are never made.
    """

    rules: tuple[AnyRule, ...]
    forced: frozenset[str]
    target: Target
    avoided: Avoided

    def engine(self) -> Engine:
        """Applies rules where they pay."""
        return Engine(self.rules, self.target)

    def willing(self) -> Engine:
        """Applies rules where they are right."""
        return willing([rule for rule in self.rules if rule.name in self.forced], self.target)


@dataclass(frozen=True)
class _State:
    model: ir.Model
    steps: tuple[Step, ...]


def explore(
    window: ir.Model, moves: Moves, base: Session, bindings: Sequence[Mapping[str, int]], end: float
) -> tuple[Discovery | None, int]:
    """The best sequence found, or None where greedy rules do as well; and how many graphs were looked at.

    Args:
        window: see `ncgopt.search.window`.
        moves: what may be done.
        base: session of the whole model, for its names: steps have to mean the same there.
        bindings: sizes of the window's symbols; what is found must not cost more at any of them.
        end: when to stop, on the monotonic clock.
    """
    forcing, greedy = moves.willing(), moves.engine()
    root = _State(_copy(window, base, moves.avoided), ())
    first = _completed(root.model, greedy, moves.avoided)
    if first is None:
        return None, 1
    start, floor = estimate(first.graph, bindings), estimate(root.model.graph, bindings)
    best: tuple[Costs, _State, ir.Model] | None = None
    seen = {signature(root.model.graph), signature(first.graph)}
    order = itertools.count()
    queue: list[tuple[float, int, _State]] = [(1.0, next(order), root)]
    states = 1
    while queue and states < _STATES and time.monotonic() < end:
        state = heapq.heappop(queue)[2]
        for child in _children(state, forcing, moves.avoided):
            if states >= _STATES or time.monotonic() >= end:
                break
            mark = signature(child.model.graph)
            if mark in seen:
                continue
            seen.add(mark)
            states += 1
            done = _completed(child.model, greedy, moves.avoided)
            if done is None:
                continue
            costs = estimate(done.graph, bindings)
            if improves(costs, best[0] if best is not None else start):
                best = costs, child, done
            own = relative(estimate(child.model.graph, bindings), floor)
            if own <= _WORSE and len(child.steps) < _DEPTH:
                heapq.heappush(queue, (relative(costs, start), next(order), child))
    if best is None:
        return None, states
    costs, found, done = best
    return Discovery(found.steps, start, costs, first, done), states


def _children(state: _State, forcing: Engine, avoided: Avoided) -> Iterator[_State]:
    """Every graph that one more step makes."""
    facts.survey(state.model)
    facts.forget()
    nodes = list(state.model.graph)
    for number, node in enumerate(nodes):
        for rule in forcing.rules_at(node):
            if not _may_match(rule, node):
                continue
            child = _copy(state.model, Session.of(state.model), avoided)
            root = child.graph[number]
            step = Step(rule.name, place_of(where(root)))
            if _quietly(lambda child=child, root=root, rule=rule: forcing.apply_at(child, root, rule)):
                yield _State(child, (*state.steps, step))


def _may_match(rule: AnyRule, node: ir.Node) -> bool:
    try:
        return rule.match(node) is not None
    except Exception:  # a rule that raises is a bug that the engine reports where it matters
        return False


def _completed(model: ir.Model, greedy: Engine, avoided: Avoided) -> ir.Model | None:
    """What greedy rules make of a copy."""
    copy = _copy(model, Session.of(model), avoided)
    return copy if _quietly(lambda: greedy.run(copy).total() >= 0) else None


def _copy(model: ir.Model, base: Session, avoided: Avoided) -> ir.Model:
    copy = model.clone()
    session = Session(copy, avoided=avoided, tolerant=True, worker=base.worker)
    session.resume(base)
    return copy


def _quietly(act: Callable[[], bool]) -> bool:
    """What `act` says; False where a rule breaks a promise: then this sequence is none."""
    try:
        return act()
    except NcgoptError:
        return False


def signature(graph: ir.Graph) -> tuple[object, ...]:
    """Equal for graphs that are the same but for names."""
    numbers: dict[ir.Value, int] = {}

    def number(value: ir.Value | None) -> object:
        if value is None:
            return None
        if value.const_value is not None:
            return value.const_value.dtype, tuple(value.const_value.shape.numpy())
        return numbers.setdefault(value, len(numbers))

    for value in graph.inputs:
        number(value)
    nodes = [
        (
            node.domain,
            node.op_type,
            tuple(number(value) for value in node.inputs),
            tuple(number(value) for value in node.outputs),
            tuple(sorted((name, repr(attribute.value)) for name, attribute in node.attributes.items())),
        )
        for node in graph
    ]
    return (*nodes, tuple(number(value) for value in graph.outputs))
