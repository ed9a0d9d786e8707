"""How much faster one thing is than another, and how sure that is.

Runs alternate in blocks: a block of the one, then a block of the other, then the other way round. A change of
clock speed or a busy neighbour then hits both blocks of a pair, and what is compared is the pair: the lower
quartiles of their runs, since whatever disturbs a run makes it longer. The ratio is the median over all pairs. Its
interval is a paired bootstrap over the pairs: they are drawn again with replacement, many times, and the middle
95 % of the ratios found that way is the interval (percentile method, Efron and Tibshirani, "An Introduction to the
Bootstrap", 1993, chapter 13; for ratios of run times Kalibera and Jones, "Rigorous Benchmarking in Reasonable
Time", ISMM 2013).

What the interval cannot see is what differs between two processes for their whole lives, like where memory lies
(Mytkowicz et al., "Producing Wrong Data Without Doing Anything Obviously Wrong!", ASPLOS 2009). Whole models
therefore run in several processes each, and a difference below `FLOOR` is taken for none.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

FLOOR = 0.015
"""The same file against itself differs by less, in about nineteen of twenty measurements."""

_RESAMPLES = 2000
_LEAST = 6  # pairs; of fewer, an interval says nothing

Verdict = Literal["faster", "slower", "no difference within noise"]


@dataclass(frozen=True)
class Ratio:
    """Time of the first over time of the second.

    Attributes:
        value: above 1 where the second is faster.
        low, high: ends of the 95 % interval.
        pairs: pairs of blocks that it rests on.
    """

    value: float
    low: float
    high: float
    pairs: int

    @property
    def verdict(self) -> Verdict:
        """What the second is, compared with the first."""
        if self.low > 1 and self.value > 1 + FLOOR:
            return "faster"
        if self.high < 1 and self.value < 1 / (1 + FLOOR):
            return "slower"
        return "no difference within noise"

    def slower_than(self, share: float) -> bool:
        """Whether the second takes more than `1 + share` times as long, beyond noise."""
        return self.verdict == "slower" and 1 / self.value > 1 + share


def ratio_of(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> Ratio:
    """The ratio of two series of blocks (seconds of each run), block by block.

    Raises:
        ValueError: not as many blocks on both sides, or none.
    """
    pairs = [_typical(a) / max(_typical(b), 1e-12) for a, b in zip(first, second, strict=True)]
    if not pairs:
        raise ValueError("nothing was measured")
    logs = np.log(np.asarray(pairs))
    value = float(np.exp(np.median(logs)))
    if len(pairs) < _LEAST:
        return Ratio(value, 0.0, float("inf"), len(pairs))
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(logs), (_RESAMPLES, len(logs)))
    low, high = np.quantile(np.exp(np.median(logs[drawn], axis=1)), (0.025, 0.975))
    return Ratio(value, float(low), float(high), len(pairs))


def _typical(block: Sequence[float]) -> float:
    return statistics.quantiles(block, n=4, method="inclusive")[0] if len(block) > 1 else block[0]
