"""Sizes for symbolic dimensions that a model accepts, found by asking it.

Dimensions depend on each other in ways that no annotation tells: a mask as long as past plus
sequence, a height that must be a multiple of 32, a channel count that only the first Conv knows.
So: propose, run, read the numbers in the refusal, propose again; within a budget.
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ncgopt.verify.inputs import Symbol

Binding: TypeAlias = dict[str, int]
# Runs the original under a binding; None if it accepts it, else what it says against it.
Attempt: TypeAlias = Callable[[Binding], "str | None"]

_SIZES = (3, 2, 4, 8, 16, 32, 64, 5, 7, 24, 48, 80, 96, 100, 128, 224, 256, 320, 512, 576, 640, 1280, 4096, 16000)
_SECOND = (1, 3, 5, 2, 7, 4, 8, 6, 9, 16, 24, 32, 48, 64, 80, 96, 100, 128, 160, 224, 256, 320, 512, 640)
_LARGEST = 1 << 16  # numbers in error messages beyond this are no sizes


@dataclass
class Search:
    """One search over the symbols of one model.

    Attributes:
        symbols: what is to be bound.
        attempt: asks the original.
        pinned: sizes that the user decided.
        more: whether another attempt is still allowed (budget of runs and seconds).
        accepted: bindings that the original took, in the order found.
        refusals: what it said against others, by binding, in order.
    """

    symbols: Sequence[Symbol]
    attempt: Attempt
    pinned: Mapping[str, int] = field(default_factory=dict[str, int])
    more: Callable[[], bool] = lambda: True
    accepted: list[Binding] = field(default_factory=list[Binding])
    refusals: dict[tuple[tuple[str, int], ...], str] = field(default_factory=dict[tuple[tuple[str, int], ...], str])

    def run(self) -> list[Binding]:
        """Bindings that together give every symbol two sizes where the original takes two.

        The first prefers 1, the second an odd number; one more has all symbols different, where
        that is accepted: it shows when a rewrite confuses two dimensions. Empty if nothing was
        accepted.
        """
        groups = _groups([symbol for symbol in self.symbols if symbol.name not in self.pinned])
        base = self._base(groups)
        if base is None and len(groups) < sum(len(group) for group in groups):
            groups = [(symbol,) for group in groups for symbol in group]  # the guess of equal sizes was wrong
            base = self._base(groups)
        if base is None:
            return []
        for tries in (6, 100):  # every dimension gets its cheap tries before one takes the whole budget
            for group in groups:
                self._second(base, groups, group, tries)
        self._all_different(base)
        roomy = self._roomy(base)
        chosen = self._chosen()
        return chosen if roomy is None or roomy in chosen else [*chosen, roomy]

    def _try(self, binding: Binding) -> bool:
        """Ask once; remembers the answer."""
        key = tuple(sorted(binding.items()))
        if key in self.refusals:
            return False
        if binding in self.accepted:
            return True
        refusal = self.attempt(binding)
        if refusal is None:
            self.accepted.append(binding)
            return True
        self.refusals[key] = refusal
        return False

    def _base(self, groups: Sequence[tuple[Symbol, ...]]) -> Binding | None:
        """The first accepted binding; ideas from refusals take turns with the plan."""
        ideas: deque[Binding] = deque()
        plan = self._plan(groups)
        for turn in itertools.count():
            if not self.more():
                return None
            use_idea = bool(ideas) and turn % 3 != 2
            candidate = ideas.popleft() if use_idea else next(plan, None)
            if candidate is None:
                if not ideas:
                    return None
                candidate = ideas.popleft()
            known = tuple(sorted(candidate.items())) in self.refusals
            if self._try(candidate):
                return candidate
            if not known and len(ideas) < 400:
                ideas.extend(self._ideas(candidate, groups))
        return None

    def _plan(self, groups: Sequence[tuple[Symbol, ...]]) -> Iterator[Binding]:
        """From the most natural bindings to the strangest."""
        hinted = {symbol.name: symbol.hints[0] for group in groups for symbol in group if symbol.hints}

        def bound(batch: int, channel: int, other: int, spatial: int | None = None) -> Binding:
            sizes = {"batch": batch, "channel": channel, "spatial": spatial or other, "length": other, "rank": 2}
            free = {s.name: sizes[s.role] for group in groups for s in group}
            return {**free, **hinted, **self.pinned}

        yield bound(1, 3, 1)
        yield bound(3, 3, 3)
        yield from self._sums(bound(1, 3, 1), groups)
        for size in _SIZES:
            yield bound(1, 3, size)
            yield from self._sums(bound(1, 3, size), groups) if size <= 8 else ()
        for group, size in itertools.product(groups, (512, 256, 64, 16, 576, 80, 100, 16000)):
            yield {**bound(1, 3, 1), **_assigned([group], [size]), **self.pinned}
        for spatial, channel in itertools.product((32, 64, 224, 28, 640), (1, 3)):
            yield bound(1, channel, 8, spatial)
        for ranks in (1, 4, 3, 0, 5):
            yield {**bound(1, 3, 3), **{s.name: ranks for group in groups for s in group if s.role == "rank"}}
        for values in itertools.islice(itertools.product((1, 2, 3, 4, 8), repeat=min(4, len(groups))), 200):
            yield {**bound(1, 3, 3), **_assigned(groups, values), **self.pinned}

    def _sums(self, base: Binding, groups: Sequence[tuple[Symbol, ...]]) -> Iterator[Binding]:
        """One dimension as long as two others together, the others being equal."""
        lengths = [group for group in groups if group[0].role == "length"]
        likely = sorted(lengths, key=lambda group: -_totality(group[0].name))
        for total in likely:
            for a, b in itertools.combinations([group for group in lengths if group is not total], 2):
                yield base | _assigned([total], [base[a[0].name] + base[b[0].name]])

    def _ideas(self, refused: Binding, groups: Sequence[tuple[Symbol, ...]]) -> Iterator[Binding]:
        """Change a dimension whose size the refusal quotes to another number in it."""
        text = self.refusals[tuple(sorted(refused.items()))]
        numbers = list(dict.fromkeys(int(n) for n in re.findall(r"(?<![\w.])\d+(?![\w.]*\w)", text)))
        numbers = [number for number in numbers if 0 < number <= _LARGEST][:8]
        quoted = [group for group in groups if refused[group[0].name] in numbers] or list(groups)
        for group, number in itertools.product(quoted[:8], numbers):
            if number != refused[group[0].name]:
                yield refused | _assigned([group], [number])

    def _second(
        self, base: Binding, groups: Sequence[tuple[Symbol, ...]], group: tuple[Symbol, ...], tries: int
    ) -> None:
        """Another size for one group, alone or with those that depend on it."""
        name = group[0].name
        size = base[name]
        nearby = (size + 1, size * 2, size + 2, size * 3, size - 1, size // 2, size + 8, size + 32)
        candidates = [
            n for n in dict.fromkeys((*group[0].hints, *_SECOND[:2], *nearby[:4], *_SECOND, *nearby)) if n > 0
        ]
        others = [other for other in groups if other is not group]
        wanted = 2 if size not in {1, 3} else 1
        for number in candidates[:tries]:
            if len({binding[name] for binding in self.accepted} - {size}) >= wanted or not self.more():
                return
            if number == size:
                continue
            for variant in itertools.islice(_variants(base, group, others, number), 6):
                if self.more() and self._try(variant):
                    break

    def _all_different(self, base: Binding) -> None:
        """All free symbols at sizes of their own, at the scale of the base; a few tries."""
        free = [s for s in self.symbols if s.name not in self.pinned and s.role != "rank"]
        for start, step in ((2, 1), (3, 2), (1, 1)):
            if len(free) > 1 and self.more():
                sizes = {s.name: start + step * i for i, s in enumerate(free) if not s.hints}
                self._try({**base, **sizes})

    def _roomy(self, base: Binding) -> Binding | None:
        """Sizes as in real use: on an image of one pixel or a text of one word, much never happens."""
        free = [
            s for s in self.symbols if s.name not in self.pinned and s.role in {"spatial", "length"} and not s.hints
        ]
        if not any(base[symbol.name] < (128 if symbol.role == "spatial" else 16) for symbol in free):
            return None
        for spatial, length in ((160, 24), (128, 16), (64, 24), (48, 16)):
            sizes = {s.name: spatial if s.role == "spatial" else length for s in free}
            binding = {**base, **sizes}
            if self.more() and self._try(binding):
                return binding
        return None

    def _chosen(self) -> list[Binding]:
        """Few bindings that still show every size that is worth showing."""
        names = [symbol.name for symbol in self.symbols if symbol.name not in self.pinned]
        ones = min(self.accepted, key=lambda b: sum(b[n] != 1 for n in names))
        chosen = [ones]
        rest = [binding for binding in self.accepted if binding is not ones]
        while rest:
            shown = {name: {binding[name] for binding in chosen} for name in names}

            def gain(binding: Binding, shown: Mapping[str, set[int]] = shown) -> tuple[int, int]:
                new = [n for n in names if len(shown[n]) < 2 and binding[n] not in shown[n]]
                return len(new), sum(binding[n] % 2 for n in new)

            best = max(rest, key=gain)
            if gain(best)[0] == 0:
                break
            chosen.append(best)
            rest.remove(best)
        distinct = max(rest, key=lambda b: len({b[n] for n in names}), default=None)
        if distinct is not None and len({distinct[n] for n in names}) > max(len({b[n] for n in names}) for b in chosen):
            chosen.append(distinct)
        return chosen


def _groups(symbols: Sequence[Symbol]) -> list[tuple[Symbol, ...]]:
    grouped: dict[str, list[Symbol]] = {}
    for symbol in symbols:
        grouped.setdefault(symbol.group, []).append(symbol)
    return [tuple(group) for group in grouped.values()]


def _assigned(groups: Sequence[tuple[Symbol, ...]], values: Sequence[int]) -> Binding:
    return {symbol.name: value for group, value in zip(groups, values, strict=False) for symbol in group}


def _totality(name: str) -> int:
    return sum(word in name.lower() for word in ("total", "mask", "+", "full", "all", "kv"))


def _variants(
    base: Binding, group: tuple[Symbol, ...], others: Sequence[tuple[Symbol, ...]], number: int
) -> Iterator[Binding]:
    """The group alone; with everything of its size; with a sum it is part of; with each equal one."""
    size = base[group[0].name]
    alone = base | _assigned([group], [number])
    yield alone
    equal = [other for other in others if base[other[0].name] == size]
    if equal:
        yield alone | {symbol.name: number for other in equal for symbol in other}
    for total in others:
        if base[total[0].name] > size:
            yield alone | _assigned([total], [base[total[0].name] - size + number])
    for other in equal[:2]:
        yield alone | _assigned([other], [number])
    for part in others:
        if 0 < base[part[0].name] < size and base[part[0].name] - size + number > 0:
            yield alone | _assigned([part], [base[part[0].name] - size + number])
