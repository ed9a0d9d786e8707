"""Shares for which the file, or the latency, is the part of the original's that was asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ncgopt.prune.allocation import bisect, shares_at
from ncgopt.prune.channels.groups import Group, find_channels
from ncgopt.prune.pruner import Pruner
from ncgopt.prune.sensitivity import Sensitivity
from ncgopt.prune.settings import PruneSettings

_SIZE_ROUNDS, _LATENCY_ROUNDS = 14, 7
_CLOSE = 0.005
_TRIES = 40  # of single steps of one group
_SECONDS = 1.0


class Search:
    """Tries shares. What is cut does not matter to size and speed, so trials cut what is smallest.

    Args:
        pruner: the model.
        settings: with a target.
        curves: sensitivities of all groups.
    """

    def __init__(self, pruner: Pruner, settings: PruneSettings, curves: list[Sensitivity]) -> None:
        self._pruner, self._curves = pruner, curves
        self._quick = dataclasses.replace(settings, method="magnitude", schedule="constant", steps=1)
        self._target = settings.target_size or settings.target_latency or 1.0
        self._by_size = settings.target_size is not None
        self._original = pruner.source.stat().st_size
        self._known: dict[tuple[tuple[str, float], ...], float] = {}

    def run(self) -> dict[str, float]:
        """Shares by group."""
        rounds = _SIZE_ROUNDS if self._by_size else _LATENCY_ROUNDS
        found = bisect(lambda threshold: shares_at(self._curves, threshold), self._excess, rounds)
        return self._refined(found) if self._by_size else found

    def _excess(self, shares: Mapping[str, float]) -> float:
        """How far below the target the trial is: positive where too much went."""
        key = tuple(sorted((name, round(share, 4)) for name, share in shares.items()))
        if key not in self._known:
            self._known[key] = self._target - self._part(shares)
        return self._known[key]

    def _part(self, shares: Mapping[str, float]) -> float:
        path = self._pruner.pruned(self._quick, shares, check=False).path
        try:
            if self._by_size:
                self._pruner.say("looking for shares that give the size")
                return path.stat().st_size / self._original
            self._pruner.say("looking for shares that give the latency")
            return 1 / self._pruner.latency(path, _SECONDS).ratio
        finally:
            path.unlink()

    def _refined(self, shares: dict[str, float]) -> dict[str, float]:
        """One unit of alignment more or less, group by group, as long as that comes closer."""
        groups = find_channels(self._pruner.load(self._pruner.base), self._quick).groups
        best, distance = shares, abs(self._excess(shares))
        tries = 0
        improved = True
        while improved and distance > _CLOSE:
            improved = False
            for group in groups:
                for change in (-1, 1):
                    if distance <= _CLOSE or tries >= _TRIES:
                        return best
                    trial = self._stepped(best, group, change)
                    if trial is None:
                        continue
                    tries += 1
                    found = abs(self._excess(trial))
                    if found < distance:
                        best, distance, improved = trial, found, True
        return best

    def _stepped(self, shares: Mapping[str, float], group: Group, change: int) -> dict[str, float] | None:
        if group.name not in shares:
            return None
        step = self._quick.align / group.width
        share = round(shares[group.name] / step) * step + change * step
        return {**shares, group.name: share} if 0 <= share < 1 else None
