"""Orders of execution that ONNX Runtime can be brought to by the order of the nodes in the file, and the best of them.

ONNX Runtime goes depth first from the nodes that nobody reads and visits what a node reads from the highest
place in the file to the lowest (`schedule.default_order`). So an order is a choice of who comes first at each node
that reads several others, and it can be had if the places that the choices ask for contradict neither each other
nor the edges. Small graphs are searched through with a bound; in larger ones each choice is the one that is
best for trees (J. W. H. Liu, An application of generalized tree pebbling to sparse matrix factorization, 1987).
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_EXACT_NODES = 30
_EXPANDED = 150_000  # states that a search looks at before it gives up to be exact
_MOST_PRODUCERS = 5  # of one node, all of whose sequences are tried


@dataclass(frozen=True)
class Work:
    """A graph, as far as memory goes; nodes are numbers in an order that respects the edges.

    Attributes:
        reads: per node the nodes whose results it reads, ascending.
        bytes: per node what its results take.
        kept: nodes whose results are there until the end.
    """

    reads: Sequence[Sequence[int]]
    bytes: Sequence[int]
    kept: frozenset[int] = frozenset()

    @property
    def bound(self) -> int:
        """What no order can stay below: a node, what it reads, and at the end what is kept."""
        least = [self.bytes[n] + sum(self.bytes[p] for p in reads) for n, reads in enumerate(self.reads)]
        return max([*least, sum(self.bytes[n] for n in self.kept)], default=0)

    def users(self) -> list[int]:
        """How many nodes read each; one more for what is kept."""
        found = [int(n in self.kept) for n in range(len(self.reads))]
        for reads in self.reads:
            for producer in reads:
                found[producer] += 1
        return found

    def peak(self, order: Sequence[int]) -> int:
        """The most that executing the nodes in this order takes at once."""
        left, alive, most = self.users(), 0, 0
        for node in order:
            alive += self.bytes[node]
            most = max(most, alive)
            for one in (*self.reads[node], node):
                left[one] -= one != node
                if left[one] == 0:
                    alive -= self.bytes[one]
                    left[one] = -1
        return most

    def ancestors(self) -> list[int]:
        """Per node all nodes that it depends on, as bits."""
        found: list[int] = []
        for reads in self.reads:
            found.append(sum({1 << producer for producer in reads}))
            for producer in reads:
                found[-1] |= found[producer]
        return found

    def leaves(self) -> list[int]:
        """Nodes that nobody reads."""
        inner = {producer for reads in self.reads for producer in reads}
        return [node for node in range(len(self.reads)) if node not in inner]


@dataclass(frozen=True)
class Order:
    """An order of execution.

    Attributes:
        executed: nodes as they are executed.
        file: nodes in the order of the file that brings it about.
        mirrored: the opposite choices: where graph optimizations number nodes anew, they turn choices round.
        peak: bytes.
        optimal: whether no order that can be had takes less.
    """

    executed: tuple[int, ...]
    file: tuple[int, ...]
    mirrored: tuple[int, ...] | None
    peak: int
    optimal: bool


def best(work: Work) -> Order | None:
    """The best order that is found; None where its choices contradict each other."""
    first = _greedy(work)
    if len(work.reads) > _EXACT_NODES or (first is not None and first.optimal):
        return first
    search = _Search(work, work.ancestors(), first)
    search.run()
    return search.found


@dataclass
class _Search:
    """Branch and bound over the choices."""

    work: Work
    ancestors: Sequence[int]
    found: Order | None = None
    left: int = _EXPANDED
    _bound: int = 0

    def run(self) -> None:
        self._bound = self.work.bound
        users = self.work.users()
        for leaves in itertools.permutations(self.work.leaves()):
            stack = [(leaf, False) for leaf in reversed(leaves)]
            self._go(stack, set(), [], users, 0, 0, list(itertools.pairwise(leaves)))
            if self.left <= 0:
                return
        if self.found is not None:
            one = self.found
            self.found = Order(one.executed, one.file, one.mirrored, one.peak, optimal=True)

    def _go(
        self, stack: list[tuple[int, bool]], seen: set[int], order: list[int], users: list[int], alive: int, most: int,
        before: list[tuple[int, int]],
    ) -> None:  # fmt: skip
        """Continue from a state until the next choice, and from there with each way to take it."""
        stack, seen, order, users = list(stack), set(seen), list(order), list(users)
        self.left -= 1
        while stack and self.left > 0:
            if self.found is not None and (most >= self.found.peak or self.found.peak == self._bound):
                return
            node, done = stack.pop()
            if done:
                order.append(node)
                alive += self.work.bytes[node]
                most = max(most, alive)
                for one in (*self.work.reads[node], node):
                    users[one] -= one != node
                    if users[one] == 0:
                        alive -= self.work.bytes[one]
                        users[one] = -1
                continue
            if node in seen:
                continue
            seen.add(node)
            stack.append((node, True))
            open_ones = [producer for producer in self.work.reads[node] if producer not in seen]
            if len(open_ones) > 1:
                for ways in self._ways(open_ones):
                    further = [*stack, *((one, False) for one in reversed(ways))]
                    self._go(further, seen, order, users, alive, most, [*before, *itertools.pairwise(ways)])
                return
            stack += [(one, False) for one in open_ones]
        if self.left > 0 and len(order) == len(self.work.reads):
            self._take(order, most, before)

    def _ways(self, nodes: Sequence[int]) -> Iterator[Sequence[int]]:
        """Sequences of producers; one that another depends on has a lower place, and so comes behind it."""
        if len(nodes) > _MOST_PRODUCERS:
            self.left = 0  # not exact any more
            return
        for ways in itertools.permutations(nodes):
            if not any(self.ancestors[b] >> a & 1 for a, b in itertools.combinations(ways, 2)):
                yield ways

    def _take(self, order: list[int], most: int, before: list[tuple[int, int]]) -> None:
        file = sorted_by(self.work, before)
        if file is not None and (self.found is None or most < self.found.peak):
            self.found = Order(tuple(order), file, mirrored(self.work, before), most, optimal=False)


def sorted_by(work: Work, before: Sequence[tuple[int, int]]) -> tuple[int, ...] | None:
    """An order of the file in which of each pair the first has the higher place; None where there is none."""
    return _sorted(work, [(b, a) for a, b in before])


def mirrored(work: Work, before: Sequence[tuple[int, int]]) -> tuple[int, ...] | None:
    """An order of the file in which of each pair the first has the lower place; None where there is none."""
    return _sorted(work, before)


def _sorted(work: Work, lower: Sequence[tuple[int, int]]) -> tuple[int, ...] | None:
    after: list[list[int]] = [[] for _ in work.reads]
    missing = [0] * len(work.reads)
    for first, second in itertools.chain(lower, ((p, n) for n, reads in enumerate(work.reads) for p in reads)):
        after[first].append(second)
        missing[second] += 1
    ready = [node for node, count in enumerate(missing) if not count]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        node = heapq.heappop(ready)
        order.append(node)
        for one in after[node]:
            missing[one] -= 1
            if not missing[one]:
                heapq.heappush(ready, one)
    return tuple(order) if len(order) == len(work.reads) else None


@dataclass
class _State:
    """How far an execution has come."""

    work: Work
    seen: set[int] = field(default_factory=set[int])
    users: list[int] = field(default_factory=list[int])
    alive: int = 0
    order: list[int] = field(default_factory=list[int])

    def execute(self, node: int) -> int:
        """What is there while a node runs."""
        self.alive += self.work.bytes[node]
        during = self.alive
        self.order.append(node)
        for one in (*self.work.reads[node], node):
            self.users[one] -= one != node
            if self.users[one] == 0:
                self.alive -= self.work.bytes[one]
                self.users[one] = -1
        return during

    def rehearsed(self, node: int) -> int:
        """By how much the peak of what leads to a node exceeds what is left of it: large ones go first."""
        trial = _State(self.work, set(self.seen), list(self.users), self.alive)
        stack, most = [(node, False)], self.alive
        while stack:
            one, done = stack.pop()
            if done:
                most = max(most, trial.execute(one))
            elif one not in trial.seen:
                trial.seen.add(one)
                stack += [(one, True), *((p, False) for p in self.work.reads[one] if p not in trial.seen)]
        return most - trial.alive


def _sequence(nodes: Sequence[int], state: _State, ancestors: Sequence[int]) -> list[int]:
    """Those with most to gain first, but what others depend on behind these."""
    left = {node: state.rehearsed(node) for node in nodes}
    found: list[int] = []
    while left:
        free = [node for node in left if not any(ancestors[other] >> node & 1 for other in left)]
        found.append(max(free, key=lambda node: (left[node], node)))
        del left[found[-1]]
    return found


def _greedy(work: Work) -> Order | None:
    state, ancestors = _State(work, users=work.users()), work.ancestors()
    leaves = work.leaves()[::-1]
    before = list(itertools.pairwise(leaves))
    stack = [(leaf, False) for leaf in reversed(leaves)]
    most = 0
    while stack:
        node, done = stack.pop()
        if done:
            most = max(most, state.execute(node))
            continue
        if node in state.seen:
            continue
        state.seen.add(node)
        stack.append((node, True))
        ways = [producer for producer in work.reads[node] if producer not in state.seen]
        if len(ways) > 1:
            ways = _sequence(ways, state, ancestors)
            before += itertools.pairwise(ways)
        stack += [(one, False) for one in reversed(ways)]
    file = sorted_by(work, before)
    optimal = most == work.bound
    return None if file is None else Order(tuple(state.order), file, mirrored(work, before), most, optimal)
