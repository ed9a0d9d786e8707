"""Nodes that can be computed in pieces together, and what that would save. Found by names, so that copies have them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from ncgopt import facts
from ncgopt.memory.axes import Along, Parts, Range, contracted, parts

Bytes = Callable[[ir.Value], int]
Places = dict[ir.Node, int]
_MOST_NODES = 24
_BLOCK = 16  # channels that ONNX Runtime keeps together


@dataclass(frozen=True)
class Region:
    """Nodes in the order of the graph, the last of which makes `exit`.

    Attributes:
        nodes: them.
        exit: what they make together.
        axis: along which the result is put together from pieces; None where pieces of it are added up.
        needs: per node what pieces take of its inputs.
        axes: of the values that are cut.
        length: of what is cut into pieces.
    """

    nodes: tuple[ir.Node, ...]
    exit: ir.Value
    axis: int | None
    needs: dict[ir.Node, Parts]
    axes: dict[ir.Value, int]
    length: int

    def entries(self) -> dict[ir.Value, Along | None]:
        """What comes from outside, constants left out, and how it takes part."""
        inside = {node.outputs[0] for node in self.nodes}
        found: dict[ir.Value, Along | None] = {}
        for node in self.nodes:
            for value, need in zip(node.inputs, self.needs[node], strict=True):
                if value is not None and value not in inside and not facts.is_constant(value):
                    found[value] = need or found.get(value)
        return found


@dataclass(frozen=True)
class Cut:
    """A region by names, and its pieces."""

    exit: str
    axis: int | None
    size: int
    pieces: tuple[Range, ...]


def grow(exit: ir.Value, axis: int | None, at: Places) -> Iterator[Region]:
    """Regions that make `exit`, from its producer alone upwards, each with one node more; `at` is `places`."""
    root = exit.producer()
    if root is None or facts.is_kept(root):
        return
    needs: dict[ir.Node, Parts] = {}
    axes: dict[ir.Value, int] = {exit: axis} if axis is not None else {}
    refused: set[ir.Node] = set()
    first = contracted(root) if axis is None else parts(root, axis)
    node: ir.Node | None = root
    length = _length(exit, axis) if axis is not None else _contracted_length(root, first)
    while node is not None and first is not None and length is not None and len(needs) < _MOST_NODES:
        needs[node] = first
        for value, need in zip(node.inputs, first, strict=True):
            if value is not None and need is not None and axes.setdefault(value, need.axis) != need.axis:
                return
        yield Region(tuple(sorted(needs, key=at.__getitem__)), exit, axis, dict(needs), dict(axes), length)
        node, first = _next(axes, needs, refused, at)


def _length(value: ir.Value, axis: int) -> int | None:
    dims = facts.shape(value)
    length = dims[axis] if dims is not None and axis < len(dims) else None
    return length if isinstance(length, int) else None


def _contracted_length(node: ir.Node, needs: Parts | None) -> int | None:
    need = needs[0] if needs else None
    return _length(node.inputs[0], need.axis) if need is not None and node.inputs[0] is not None else None


def places(graph: ir.Graph) -> Places:
    """Where each node stands in its graph."""
    return {node: place for place, node in enumerate(graph)}


def _next(
    axes: dict[ir.Value, int], needs: dict[ir.Node, Parts], refused: set[ir.Node], at: Places
) -> tuple[ir.Node | None, Parts | None]:
    """The last node whose result only the region reads, and that can be computed in pieces too."""
    candidates: dict[ir.Node, Parts] = {}
    for value, axis in axes.items():
        node = value.producer()
        if node is None or node in needs or node in refused or node not in at:
            continue
        if value.is_graph_output() or facts.is_kept(node) or any(use.node not in needs for use in value.uses()):
            continue
        found = parts(node, axis)
        if found is None:
            refused.add(node)
        else:
            candidates[node] = found
    if not candidates:
        return None, None
    chosen = max(candidates, key=at.__getitem__)
    return chosen, candidates[chosen]


def pieces_of(region: Region, most: int) -> Iterator[tuple[Range, ...]]:
    """Ways to cut: evenly into at most so many, and where a Concat joins what is cut."""
    block = _BLOCK if region.length % _BLOCK == 0 and region.length >= 2 * _BLOCK else 1
    for count in sorted({2, *range(4, most + 1, 2)}):
        if region.length // block >= count:
            ends = [region.length // block * place // count * block for place in range(count + 1)]
            yield tuple(itertools.pairwise(ends))
    for value, need in region.entries().items():
        if need is not None and need.window is None and (joined := joints(value, need.axis)):
            yield tuple(joined)


def joints(value: ir.Value, axis: int) -> list[Range]:
    """The pieces that a Concat makes `value` of along `axis`; empty where none does, or sizes are not known."""
    node = facts.producer(value, "Concat")
    dims = facts.shape(value)
    own = facts.int_attribute(node, "axis") if node is not None else None
    if node is None or dims is None or own is None or own % len(dims) != axis or len(node.inputs) < 2:
        return []
    found: list[Range] = []
    start = 0
    for part in node.inputs:
        length = _length(part, axis) if part is not None else None
        if not length:
            return []
        found.append((start, start + length))
        start += length
    return found


def saving(region: Region, pieces: Sequence[Range], size: Bytes) -> tuple[int, int]:
    """Bytes that the region takes at most as it is, and about what it would take in pieces."""
    entries = region.entries()
    outside = sum(map(size, entries))
    result = size(region.exit)
    share = max(end - start for start, end in pieces) / region.length
    cut = [value for value, need in entries.items() if need is not None]
    joined = [value for value in cut if (need := entries[value]) and joints(value, need.axis) == list(pieces)]
    copies = sum(size(value) for value in cut if value not in joined)
    before = outside + sum(map(size, joined)) + max(_inner(region, size), result)
    inner = (_inner(region, size) - (result if region.axis is not None else 0)) * share + copies * share
    after = outside + inner + result * (1 if region.axis is not None else 2)
    if region.axis not in (None, 1) and any(node.op_type == "Conv" for node in region.nodes):
        after += result + sum(map(size, cut))  # channels in blocks are brought into the usual layout, and back
    return before, int(max(after, 2 * result))


def _inner(region: Region, size: Bytes) -> int:
    """What the nodes hold at most of what they make."""
    last = {value: place for place, node in enumerate(region.nodes) for value in node.inputs if value is not None}
    alive: dict[ir.Value, int] = {}
    peak = 0
    for place, node in enumerate(region.nodes):
        value = node.outputs[0]
        alive[value] = size(value)
        peak = max(peak, sum(alive.values()))
        alive = {v: n for v, n in alive.items() if v is region.exit or last.get(v, place) > place}
    return peak
