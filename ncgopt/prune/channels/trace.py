"""Walk over a graph once and have every operator say which positions go together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.nesting import nodes_within, subgraphs
from ncgopt.prune.channels.atoms import Atoms, Key
from ncgopt.prune.settings import PruneSettings

Handler: TypeAlias = "Callable[[Trace, ir.Node], None]"


@dataclass
class Trace:
    """What the walk found.

    Attributes:
        atoms: positions, ties and locks.
        made: axes of weights along which outputs lie, and the node that makes them.
        summed: axes of weights along which inputs lie: a channel without these has no effect any more.
    """

    atoms: Atoms = field(default_factory=Atoms)
    made: dict[Key, ir.Node] = field(default_factory=dict[Key, ir.Node])
    summed: dict[Key, ir.Node] = field(default_factory=dict[Key, ir.Node])

    def tie(self, left: ir.Value, left_axis: int, right: ir.Value, right_axis: int, node: ir.Node) -> None:
        """An axis of one value and an axis of another go together."""
        self.atoms.tie(self.atoms.of(left, left_axis), self.atoms.of(right, right_axis), describe(node))

    def lock(self, value: ir.Value, axis: int, why: str) -> None:
        """Nothing along this axis can go."""
        self.atoms.lock(self.atoms.of(value, axis), why)

    def lock_all(self, value: ir.Value | None, why: str) -> None:
        """Nothing along any axis can go."""
        for axis in range(rank_of(value) if value is not None else 0):
            assert value is not None
            self.lock(value, axis, why)


def rank_of(value: ir.Value) -> int:
    """Number of axes, 0 where that is not known."""
    if value.const_value is not None and value.is_initializer():
        return len(value.const_value.shape)
    return facts.rank(value) or 0


def describe(node: ir.Node) -> str:
    """Operator and name, for people."""
    return f"{node.op_type} {node.name}" if node.name else node.op_type


def trace(model: ir.Model, settings: PruneSettings, handlers: Mapping[str, Handler]) -> Trace:
    """Trace the main graph; what subgraphs and local functions see is locked.

    Args:
        model: with shapes known to `ncgopt.facts`.
        settings: for `keep`.
        handlers: per operator of the default domain; what has none is locked on all sides.
    """
    found = Trace()
    main = model.graph
    for value in (*main.inputs, *main.outputs):
        found.lock_all(value, f"it is an input or output of the model ({value.name})")
    for node in main:
        _lock_captured(found, node, main)
        handler = handlers.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if handler is None:
            _lock_around(found, node, f"{describe(node)} is not traced")
            continue
        if settings.is_kept(node.name) or any(settings.is_kept(v.name) for v in node.inputs if v is not None):
            _lock_around(found, node, f"{describe(node)} is kept")
        handler(found, node)
    for value in main.initializers.values():
        if not facts.is_constant(value):
            found.lock_all(value, f"{value.name} may be overridden")
    return found


def _lock_captured(found: Trace, node: ir.Node, main: ir.Graph) -> None:
    for inner in (inner for graph in subgraphs(node) for inner in nodes_within(graph)):
        for value in inner.inputs:
            if value is not None and value.graph is main:
                found.lock_all(value, f"a subgraph of {describe(node)} reads it")


def _lock_around(found: Trace, node: ir.Node, why: str) -> None:
    for value in (*node.inputs, *node.outputs):
        found.lock_all(value, why)
