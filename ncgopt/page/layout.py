"""Where the nodes of a graph go on a drawing: in layers, data flowing downwards.

The method of Sugiyama, Tagawa and Toda (Methods for Visual Understanding of Hierarchical System Structures, 1981),
without dummy nodes: layers by longest path, order within a layer by the barycenters of neighbours, then positions that
pull neighbours under one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_ORDERINGS = 6
_ALIGNMENTS = 8


def layout(count: int, edges: Sequence[tuple[int, int]]) -> list[tuple[float, int]]:
    """Position of each node: a column (in widths of a node, may be any number) and a layer from 0 on.

    Args:
        count: nodes, numbered from 0 in topological order.
        edges: from a node to a later one.
    """
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for source, target in dict.fromkeys(edges):
        above[target].append(source)
        below[source].append(target)
    layer = _layers(above, below)
    rows: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for node in range(count):
        rows[layer[node]].append(node)
    place = [0.0] * count
    for row in rows:
        _number(row, place)
    for turn in range(_ORDERINGS):
        neighbours = above if turn % 2 == 0 else below
        for row in rows if turn % 2 == 0 else reversed(rows):
            wish = {node: _mean(neighbours[node], place, place[node]) for node in row}
            row.sort(key=lambda node, wish=wish: wish[node])
            _number(row, place)
    for turn in range(_ALIGNMENTS):
        neighbours = above if turn % 2 == 0 else below
        for row in rows if turn % 2 == 0 else reversed(rows):
            _align(row, [_mean(neighbours[node], place, place[node]) for node in row], place)
    return [(place[node], layer[node]) for node in range(count)]


def _layers(above: Sequence[Sequence[int]], below: Sequence[Sequence[int]]) -> list[int]:
    """Longest path from a source; sources then come down to just above what reads them first."""
    layer = [0] * len(above)
    for node in range(len(above)):
        layer[node] = 1 + max((layer[one] for one in above[node]), default=-1)
    for node in range(len(above)):
        if not above[node] and below[node]:
            layer[node] = min(layer[one] for one in below[node]) - 1
    return layer


def _number(row: Iterable[int], place: list[float]) -> None:
    nodes = list(row)
    for position, node in enumerate(nodes):
        place[node] = position - (len(nodes) - 1) / 2


def _mean(nodes: Sequence[int], place: Sequence[float], otherwise: float) -> float:
    return sum(place[node] for node in nodes) / len(nodes) if nodes else otherwise


def _align(row: Sequence[int], wish: Sequence[float], place: list[float]) -> None:
    """Move nodes towards their wishes, keeping their order and a width between them."""
    forward, backward = list(wish), list(wish)
    for index in range(1, len(row)):
        forward[index] = max(forward[index], forward[index - 1] + 1)
    for index in range(len(row) - 2, -1, -1):
        backward[index] = min(backward[index], backward[index + 1] - 1)
    for index, node in enumerate(row):
        place[node] = (forward[index] + backward[index]) / 2
