"""Which layers can be calibrated together, and which have to wait for those before them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from ncgopt.facts.nesting import nodes_within, subgraphs
from ncgopt.prune.layers import Layer


@dataclass(frozen=True)
class Stage:
    """Layers that are calibrated in one run, after those of the stages before were pruned.

    Attributes:
        layers: their positions.
        first: of these, the ones that no other layer of the stage feeds: what they are given now will not change.
    """

    layers: tuple[int, ...]
    first: frozenset[int]


def stages(graph: ir.Graph, layers: Sequence[Layer], most: int) -> tuple[Stage, ...]:
    """The layers from the inputs of the model to its outputs, in at most `most` stages.

    Layers of one stage do not feed each other, unless there are more than `most` such levels; then neighbouring levels
    share a stage.
    """
    depths = _depths(graph, layers)
    levels = sorted(set(depths))
    count = min(most, len(levels))
    found: list[Stage] = []
    for number in range(count):
        part = levels[number * len(levels) // count : (number + 1) * len(levels) // count]
        inside = tuple(key for key, depth in enumerate(depths) if depth in part)
        found.append(Stage(inside, frozenset(key for key in inside if depths[key] == part[0])))
    return tuple(found)


def _depths(graph: ir.Graph, layers: Sequence[Layer]) -> list[int]:
    """How many layers are before each on the longest way from an input; 0 for those inside of subgraphs."""
    keys = {use.node: key for key, layer in enumerate(layers) for use in layer.uses}
    depths = [0] * len(layers)
    reached: dict[ir.Value, int] = {}
    for node in graph:
        before = max((reached.get(value, 0) for value in _read(node)), default=0)
        key = keys.get(node)
        if key is not None:
            depths[key] = max(depths[key], before)
            before = depths[key] + 1
        for value in node.outputs:
            reached[value] = before
    return depths


def _read(node: ir.Node) -> list[ir.Value]:
    """What a node reads, the nodes of its subgraphs included."""
    inner = [one for graph in subgraphs(node) for one in nodes_within(graph)]
    return [value for one in (node, *inner) for value in one.inputs if value is not None]


def after(graph: ir.Graph, names: Collection[str], layers: Sequence[Layer]) -> list[Layer]:
    """The layers that something computed by one of these nodes reaches."""
    reached: set[ir.Value] = set()
    for node in graph:
        if node.name in names or not reached.isdisjoint(_read(node)):
            reached.update(node.outputs)
    return [layer for layer in layers if any(use.given in reached for use in layer.uses)]
