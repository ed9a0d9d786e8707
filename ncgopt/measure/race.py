"""Two windows against each other, in one process: blocks of some milliseconds alternate.

With one thread, ONNX Runtime works in the thread that calls it, and that thread's processor time counts: others who
want the processor do not lengthen it. With more, the clock on the wall does.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from ncgopt.measure.ratio import Ratio, ratio_of

_BLOCK_SECONDS = 0.003
_LEAST, _STEP, _MOST = 12, 8, 400  # pairs of blocks; after how many to look whether it is decided
_CLEAR = 0.03  # distance of the interval from 1 at which more pairs would tell nothing new


def race(before: Callable[[], object], after: Callable[[], object], seconds: float, threads: int) -> Ratio:
    """Time of the one over time of the other; ends early where the answer is clear.

    Args:
        before: what to run first.
        after: what to run in turn with it.
        seconds: time for both together.
        threads: how many they use.
    """
    clock = time.thread_time if threads == 1 else time.perf_counter
    start = time.perf_counter()
    slowest = max(_timed(run, clock) for _ in range(2) for run in (before, after))
    size = max(1, round(_BLOCK_SECONDS / max(slowest, 1e-6)))
    blocks: tuple[list[list[float]], list[list[float]]] = ([], [])
    order = [(before, blocks[0]), (after, blocks[1])]
    end = start + seconds
    gc.disable()
    try:
        while len(blocks[0]) < _MOST:
            for run, found in order:
                run()
                found.append([_timed(run, clock) for _ in range(size)])
            order.reverse()
            pairs = len(blocks[0])
            if pairs < _LEAST:
                continue
            if time.perf_counter() >= end or (pairs % _STEP == 0 and _is_clear(ratio_of(*blocks))):
                break
    finally:
        gc.enable()
    return ratio_of(*blocks)


def _is_clear(ratio: Ratio) -> bool:
    return ratio.low > 1 + _CLEAR or ratio.high < 1 - _CLEAR


def _timed(run: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    run()
    return clock() - start
