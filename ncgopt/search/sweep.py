"""A search over a whole model, window by window, the costliest nodes first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts import symbols
from ncgopt.rewrite.session import Session
from ncgopt.search.estimate import node_seconds
from ncgopt.search.explore import Discovery, Moves, explore, signature
from ncgopt.search.replay import Step, replay
from ncgopt.search.window import around, bindings_of, extract, fits

_LEAST, _SHARE = 1.0, 0.05  # seconds for a window, and share of all the time
_SIZES = (1, 8, 197)  # of symbols that nobody binds: a single one, a few, many


@dataclass
class Sweep:
    """One search.

    Attributes:
        model: the model, before rules were applied; the steps that are taken are made on it.
        session: its session.
        moves: what may be done.
        bind: sizes of symbols; others are tried at 1, 8 and 197.
        confirm: asked about each discovery, with the sizes to measure at; whether to take it.
        steps: what was taken.
        windows, states: how many were looked at.
        complete: whether all windows were.
    """

    model: ir.Model
    session: Session
    moves: Moves
    bind: Mapping[str, int]
    confirm: Callable[[Discovery, Mapping[str, int]], bool]
    steps: list[Step] = field(default_factory=list[Step])
    windows: int = 0
    states: int = 0
    complete: bool = False

    def run(self, seconds: float) -> None:
        """Search until the time is up, or every node has been in a window."""
        end = time.monotonic() + seconds
        barren: set[tuple[object, ...]] = set()
        seen: set[str] = set()
        sizes = self._sizes()
        while True:
            self._refresh()
            seed = next((node for node in self._by_cost(sizes[-1]) if _name(node) not in seen), None)
            if seed is None:
                self.complete = True
                return
            if time.monotonic() >= end:
                return
            nodes = around(seed)
            seen.update(_name(node) for node in nodes)
            window = extract(nodes, self.model)
            if window is None:
                continue
            mark = signature(window.graph)
            bindings = [bindings_of(window, nodes, one) for one in sizes]
            known = [one for one in bindings if one is not None]
            if mark in barren or len(known) < len(bindings):
                continue
            self.windows += 1
            until = min(end, time.monotonic() + max(_LEAST, _SHARE * seconds))
            found, states = explore(window, self.moves, self.session, known, until)
            self.states += states
            if found is None or not self.confirm(found, known[len(known) // 2]):
                barren.add(mark)
                continue
            self._take(found)

    def _take(self, found: Discovery) -> None:
        for step in found.steps:
            if replay(self.model, self.session, step, self.moves.target):
                self.steps.append(step)

    def _refresh(self) -> None:
        facts.survey(self.model)
        facts.forget()

    def _sizes(self) -> list[dict[str, int]]:
        self._refresh()
        names = {
            name
            for value in self.model.graph.inputs
            for dim in facts.shape(value) or ()
            for atom in symbols.atoms(dim)
            for name in (atom, symbols.written(atom))
        }
        free = names - set(self.bind)
        return [{**dict.fromkeys(free, size), **self.bind} for size in (_SIZES if free else _SIZES[:1])]

    def _by_cost(self, sizes: Mapping[str, int]) -> Iterator[ir.Node]:
        """Nodes that may be in a window, costliest first."""
        nodes = [node for node in self.model.graph if fits(node)]
        yield from sorted(nodes, key=lambda node: -node_seconds(node, sizes))


def _name(node: ir.Node) -> str:
    return next((value.name for value in node.outputs if value.name), node.name or "")


def sequences(steps: Sequence[Step]) -> tuple[str, ...]:
    """Steps as people read them."""
    return tuple(f"{step.rule} at {step.place}" for step in steps)
