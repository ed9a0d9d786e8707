"""Layers follow the data, and no two nodes lie on one another."""

import itertools
import random
import time

import pytest

from ncgopt.page.layout import layout


def _edges(count: int, seed: int) -> list[tuple[int, int]]:
    draw = random.Random(seed)
    return [
        (draw.randrange(max(0, node - 6), node), node)
        for node in range(1, count)
        for _ in range(draw.choice((1, 1, 2)))
    ]


@pytest.mark.parametrize("count", [0, 1, 2, 30, 200])
@pytest.mark.parametrize("seed", range(3))
def test_edges_go_down_and_nodes_lie_apart(count, seed):
    edges = _edges(count, seed)
    places = layout(count, edges)
    assert len(places) == count
    assert all(places[source][1] < places[target][1] for source, target in edges)
    for _, row in itertools.groupby(sorted(places, key=lambda place: (place[1], place[0])), key=lambda place: place[1]):
        columns = [x for x, _ in row]
        assert all(right - left >= 0.999 for left, right in itertools.pairwise(columns))


def test_a_chain_is_straight():
    places = layout(5, [(0, 1), (1, 2), (2, 3), (3, 4)])
    assert [y for _, y in places] == [0, 1, 2, 3, 4]
    assert len({x for x, _ in places}) == 1


def test_what_is_read_late_is_drawn_late():
    places = layout(5, [(0, 1), (1, 2), (2, 4), (3, 4)])
    assert places[3][1] == 2


def test_thousands_of_nodes_take_seconds():
    start = time.process_time()
    layout(4000, _edges(4000, 0))
    assert time.process_time() - start < 10
