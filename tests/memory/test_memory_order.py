"""Orders that are found are those of ONNX Runtime's traversal, and as good as the best of all that it can be brought to."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from onnx import helper

from ncgopt.memory.order import Work, best
from ncgopt.memory.schedule import default_order


def executed(work: Work, file: tuple[int, ...]) -> tuple[int, ...]:
    """What ONNX Runtime makes of an order of the file."""
    nodes = [helper.make_node("Sum", [f"v{p}" for p in work.reads[n]] or ["x"], [f"v{n}"]) for n in file]
    return tuple(file[place] for place in default_order(nodes))


def files(work: Work, done: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """All orders that respect the edges."""
    if len(done) == len(work.reads):
        yield done
    for node, reads in enumerate(work.reads):
        if node not in done and set(reads) <= set(done):
            yield from files(work, (*done, node))


def drawn(nodes: int, seed: int) -> Work:
    """Each node reads up to three of the last five before it."""
    draw = random.Random(seed)
    reads = [
        sorted(draw.sample(range(max(0, n - 5), n), min(n, draw.choice((0, 1, 1, 2, 2, 3))))) for n in range(nodes)
    ]
    return Work(reads, [draw.randint(1, 20) for _ in range(nodes)])


def branches(widths: list[tuple[int, int]], length: int) -> Work:
    """Blocks one after the other: from one value chains go out, each swells and shrinks, and a node joins them."""
    reads: list[list[int]] = [[]]
    sizes = [1]
    for high, low in widths:
        start, ends = len(reads) - 1, []
        for size in (high, low):
            for step in range(length):
                reads.append([len(reads) - 1 if step else start])
                sizes.append(size if step < length - 1 else 2)
            ends.append(len(reads) - 1)
        reads.append(ends)
        sizes.append(1)
    return Work(reads, sizes)


@pytest.mark.parametrize("seed", range(12))
def test_no_order_of_the_file_gives_less(seed):
    work = drawn(8, seed)
    found = best(work)
    assert found is not None
    assert executed(work, found.file) == found.executed
    assert work.peak(found.executed) == found.peak
    assert found.optimal
    assert found.peak == min(work.peak(order) for order in {executed(work, file) for file in files(work)})


@pytest.mark.parametrize("widths", [[(9, 3), (4, 12), (7, 7), (2, 8)], [(3, 20), (20, 3), (5, 6), (6, 5)]])
def test_thirty_nodes_in_blocks_are_proven(widths):
    work = branches(widths, 3)
    assert 28 <= len(work.reads) <= 30
    choices = [
        (high, low) if flip >> n & 1 else (low, high) for flip in range(16) for n, (high, low) in enumerate(widths)
    ]
    least = min(branches(choices[at : at + 4], 3).peak(range(len(work.reads))) for at in range(0, 64, 4))
    found = best(work)
    assert found is not None
    assert (found.optimal, found.peak) == (True, least)
    assert executed(work, found.file) == found.executed


@pytest.mark.parametrize("seed", range(3))
def test_large_graphs_have_an_order_that_is_executed_so(seed):
    work = drawn(120, seed)
    found = best(work)
    if found is not None:
        assert executed(work, found.file) == found.executed
        assert found.peak >= work.bound
        assert work.peak(found.executed) == found.peak


def test_what_is_kept_counts_to_the_end():
    work = Work([[], [0], [1]], [5, 7, 1], frozenset({0, 2}))
    assert work.peak((0, 1, 2)) == 13
    assert work.bound == 12
