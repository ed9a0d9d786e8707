"""Which nodes are worth a visit: those around what changed since rules last found nothing there.

Whether a rule applies at a node depends on the node, on what is near it and on facts. Passes tell nobody what
they change, so a scan compares each node with how it was at the last one. It costs a small part of what
visiting every node would. "Near" is a distance, which no rule has to keep: that nothing fires any more is
therefore known only once all nodes were visited in a row (`is_complete`).
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.knowledge import known
from ncgopt.facts.memory import Known, remembered

_DOWN = 10
"""Steps from a change to the root of a pattern that contains it; most patterns are less deep."""
_UP = 2
"""Steps from a change up to what looks at its users."""
_MANY = 16
"""A value with more users than this leads nowhere: a change at one user means nothing to the others."""

_Print = tuple[object, ...]
_NOTHING: frozenset[str] = frozenset()


class Worklist:
    """What rules have found out about the nodes of one model, from one run of the engine to the next."""

    def __init__(self) -> None:
        self._prints: dict[ir.Node, _Print] = {}
        self._tried: dict[ir.Node, frozenset[str]] = {}
        self._stirred: set[ir.Node] = set()
        self._vague: dict[ir.Value, Known] = {}
        self._whole = False
        self._complete: tuple[frozenset[str], int] | None = None

    def scan(self, nodes: Iterable[ir.Node], rules: frozenset[str], *, everything: bool = False) -> list[ir.Node]:
        """The nodes to visit with `rules`, in the order given.

        Args:
            nodes: all nodes of the model.
            rules: names of the rules.
            everything: visit all nodes, whether anything changed near them or not.
        """
        before, self._prints = self._prints, {node: _print(node) for node in nodes}
        changed = {node for node, now in self._prints.items() if before.get(node) != now}
        changed.update(self._learned())
        changed.update(node for node in self._stirred if node in self._prints)
        self._stirred.clear()
        self._whole = everything or len(changed) == len(self._prints)
        if self._whole:
            self._tried.clear()
            return list(self._prints)
        near = _around(changed)
        self._tried = {node: names for node, names in self._tried.items() if node in self._prints and node not in near}
        return [node for node in self._prints if not rules <= self._tried.get(node, _NOTHING)]

    def tried(self, node: ir.Node) -> frozenset[str]:
        """Names of the rules that found nothing to do at `node`, near which nothing changed since."""
        return self._tried.get(node, _NOTHING)

    def settle(self, node: ir.Node, rules: frozenset[str]) -> None:
        """Note that `rules` found nothing to do at `node`."""
        before = self._tried.get(node)
        self._tried[node] = rules if before is None or before <= rules else before | rules

    def stir(self, nodes: Iterable[ir.Node]) -> None:
        """Note that something changed at `nodes`."""
        for node in nodes:
            self._stirred.add(node)
            self._tried.pop(node, None)

    def found_nothing(self, rules: frozenset[str], changes: int) -> None:
        """Note that the nodes of the last scan were visited and no rule fired, after so many changes to the model."""
        if self._whole:
            self._complete = (rules, changes)

    def is_complete(self, rules: frozenset[str], changes: int) -> bool:
        """Whether none of `rules` fires anywhere on the model as it is after so many changes."""
        return self._complete == (rules, changes)

    def _learned(self) -> set[ir.Node]:
        """The nodes at values of which more is known than at the last scan; incomplete facts are derived again."""
        facts.forget()
        vague: dict[ir.Value, Known] = {}
        at: set[ir.Node] = set()
        for node in self._prints:
            for value in node.outputs:
                entry, before = remembered(value), self._vague.get(value)
                if entry is None or (entry.final and before is None):
                    continue
                now = known(value)
                if before is not None and _differ(before, now):
                    at.add(node)
                if not now.final:
                    vague[value] = now
        self._vague = vague
        return at


def _print(node: ir.Node) -> _Print:
    """All that makes a node and its edges another: compared by identity, as nothing is written into in place."""
    shared = [value is not None and facts.user_count(value) > 1 for value in node.inputs]
    used = [(facts.user_count(value), value.is_graph_output()) for value in node.outputs]
    return (node.inputs, shared, used, (*node.attributes.data.values(),))


def _differ(before: Known, now: Known) -> bool:
    if before.type != now.type or before.final != now.final:
        return True
    if before.contents is None or now.contents is None:
        return before.contents is not now.contents
    return before.contents.tolist() != now.contents.tolist()


def _around(changed: set[ir.Node]) -> set[ir.Node]:
    """`changed`, what uses their results a few steps on, and what made their inputs."""
    found = set(changed)
    edge = list(changed)
    for _ in range(_DOWN):
        reached = {use.node for node in edge for value in node.outputs if _leads_on(value) for use in value.uses()}
        edge = [node for node in reached if node not in found]
        found.update(edge)
    edge = list(changed)
    for _ in range(_UP):
        edge = [made for node in edge for v in node.inputs if v is not None and (made := v.producer()) is not None]
        found.update(edge)
    return found


def _leads_on(value: ir.Value) -> bool:
    return 0 < facts.user_count(value) <= _MANY
