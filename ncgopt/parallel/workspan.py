"""Work and span of a graph of operators, and what several workers could make of it.

Work is the time of all nodes together, span that of the longest chain of nodes that need each other: no number of
workers is faster than the span, and none is more than work / span times as fast as one (Brent, The parallel
evaluation of general arithmetic expressions, 1974). What a given number of workers reaches is told by a greedy
schedule, longest remaining chain first (Graham, Bounds on multiprocessing timing anomalies, 1969: at most 2 - 1/n
times the shortest).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A node.

    Attributes:
        name: of the node.
        operator: its type.
        seconds: that it takes.
        after: places of the nodes that it needs, all of them before its own.
    """

    name: str
    operator: str
    seconds: float
    after: tuple[int, ...]


@dataclass(frozen=True)
class WorkSpan:
    """What the steps have in common.

    Attributes:
        work: seconds of all steps.
        span: seconds of the longest chain.
        critical: places of the steps of that chain, in order.
        level: places of the steps of the widest level: the largest number with the same count of steps before them
            on their longest way.
        depth: how many levels there are.
    """

    work: float
    span: float
    critical: tuple[int, ...]
    level: tuple[int, ...]
    depth: int

    @property
    def parallelism(self) -> float:
        """How many workers could be busy on average; 1 where there is nothing to do."""
        return self.work / self.span if self.span else 1.0


@dataclass(frozen=True)
class Slot:
    """When a step runs, and on which worker."""

    step: int
    worker: int
    start: float
    end: float


def work_span(steps: Sequence[Step]) -> WorkSpan:
    """Analyse steps that are in a topological order."""
    ends: list[float] = []
    before: list[int | None] = []
    depths: list[int] = []
    for step in steps:
        last = max(step.after, key=lambda place: ends[place], default=None)
        before.append(last)
        ends.append(step.seconds + (0.0 if last is None else ends[last]))
        depths.append(1 + max((depths[place] for place in step.after), default=-1))
    levels: dict[int, list[int]] = {}
    for place, depth in enumerate(depths):
        levels.setdefault(depth, []).append(place)
    widest = max(levels.values(), key=len) if levels else []
    return WorkSpan(
        work=sum(step.seconds for step in steps),
        span=max(ends, default=0.0),
        critical=tuple(_chain(ends, before)),
        level=tuple(widest),
        depth=len(levels),
    )


def _chain(ends: Sequence[float], before: Sequence[int | None]) -> list[int]:
    place = max(range(len(ends)), key=lambda place: ends[place], default=None)
    found: list[int] = []
    while place is not None:
        found.append(place)
        place = before[place]
    return found[::-1]


def schedule(steps: Sequence[Step], workers: int) -> list[Slot]:
    """A greedy schedule: whoever is free takes the step with the longest chain still to come."""
    waiting = [len(set(step.after)) for step in steps]
    users: list[list[int]] = [[] for _ in steps]
    for place, step in enumerate(steps):
        for needed in set(step.after):
            users[needed].append(place)
    rest = _remaining(steps, users)
    ready = [(-rest[place], place) for place, count in enumerate(waiting) if not count]
    heapq.heapify(ready)
    free = list(range(workers))
    running: list[tuple[float, int, int]] = []
    slots: list[Slot] = []
    now = 0.0
    while ready or running:
        while ready and free:
            _, place = heapq.heappop(ready)
            worker = heapq.heappop(free)
            slots.append(Slot(place, worker, now, now + steps[place].seconds))
            heapq.heappush(running, (now + steps[place].seconds, place, worker))
        now, place, worker = heapq.heappop(running)
        heapq.heappush(free, worker)
        for user in users[place]:
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, (-rest[user], user))
    return slots


def _remaining(steps: Sequence[Step], users: Sequence[Sequence[int]]) -> list[float]:
    rest = [0.0] * len(steps)
    for place in reversed(range(len(steps))):
        rest[place] = steps[place].seconds + max((rest[user] for user in users[place]), default=0.0)
    return rest


def speedup(steps: Sequence[Step], workers: int) -> float:
    """How many times as fast as one worker so many are by the greedy schedule; 1 where there is nothing to do."""
    slots = schedule(steps, workers)
    end = max((slot.end for slot in slots), default=0.0)
    return sum(step.seconds for step in steps) / end if end else 1.0
