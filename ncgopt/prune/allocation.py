"""How much of each layer or group goes, so that all of them cost the same at the margin.

One threshold holds for all: each gives up as much as costs no more than that on its own. What is wanted (a share of
everything, a file size, a latency) fixes the threshold, which is found by bisection.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from ncgopt.prune.sensitivity import Sensitivity

_FLOOR = 1e-9
_ROUNDS = 40


def share_at(one: Sensitivity, threshold: float) -> float:
    """The share whose cost is the threshold; costs are taken to grow, and their logarithms linearly in between."""
    share, level = 0.0, math.log(_FLOOR)
    target = math.log(max(threshold, _FLOOR))
    for point in one.points:
        cost = max(math.log(max(point.error, _FLOOR)), level)
        if cost >= target:
            inside = (target - level) / (cost - level) if cost > level else 0.0
            return share + inside * (point.share - share)
        share, level = point.share, cost
    return share


def shares_at(curves: Sequence[Sensitivity], threshold: float) -> dict[str, float]:
    """Of every layer or group."""
    return {one.name: share_at(one, threshold) for one in curves}


def for_total(curves: Sequence[Sensitivity], wanted: float) -> dict[str, float]:
    """Shares whose weighted mean is `wanted`, or as much as the curves reach."""
    total = sum(one.weight for one in curves)

    def mean(shares: Mapping[str, float]) -> float:
        return sum(one.weight * shares[one.name] for one in curves) / max(total, 1)

    return bisect(lambda threshold: shares_at(curves, threshold), lambda shares: mean(shares) - wanted, _ROUNDS)


def bisect(
    shares_of: Callable[[float], dict[str, float]], excess: Callable[[dict[str, float]], float], rounds: int
) -> dict[str, float]:
    """The shares at the threshold where `excess`, which grows with it, is closest to zero."""
    low, high = math.log(_FLOOR), math.log(10.0)
    best, distance = shares_of(math.exp(low)), math.inf
    for _ in range(rounds):
        middle = (low + high) / 2
        shares = shares_of(math.exp(middle))
        beyond = excess(shares)
        if abs(beyond) < distance:
            best, distance = shares, abs(beyond)
        low, high = (low, middle) if beyond > 0 else (middle, high)
    return best
