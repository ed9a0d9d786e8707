"""FLOPs of operators that do their work per element of the input, or per element of a window."""

from __future__ import annotations

import math
from collections.abc import Callable

from ncgopt.cost.sized import Sized, UnknownShapeError, volume

# Operations per element of the input; the few that are done once per result are left out. ArgMax, TopK
# and the like are counted with one comparison per element.
_PER_INPUT = {
    1: """ArgMax ArgMin CumSum GlobalAveragePool GlobalMaxPool ReduceLogSum ReduceMax ReduceMean ReduceMin
        ReduceProd ReduceSum TopK""",
    2: "CumProd GlobalLpPool ReduceL1 ReduceL2 ReduceSumSquare",
    4: "ReduceLogSumExp",
}
_PER_WINDOW = {"AveragePool": 1, "MaxPool": 1, "LpPool": 2}


def _per_input(count: int) -> Callable[[Sized], int]:
    return lambda sized: count * volume(sized.input(0))


def _per_window(count: int) -> Callable[[Sized], int]:
    def pool(sized: Sized) -> int:
        kernel = sized.integers("kernel_shape")
        if kernel is None:
            raise UnknownShapeError
        return count * volume(sized.output()) * volume(kernel)

    return pool


def _fourier(sized: Sized) -> int:
    """DFT: the usual 5 n log2 n real operations per complex transform of length n."""
    output = sized.output()
    axis = sized.integer("axis", -2)
    if sized.has_input(2):
        raise UnknownShapeError  # since opset 20 the axis is an input
    length = output[axis]
    transforms = volume(output) // (2 * length) if length else 0
    return round(5 * length * math.log2(max(length, 2))) * transforms


COUNTERS: dict[tuple[str, str], Callable[[Sized], int]] = {
    **{("", op): _per_input(count) for count, ops in _PER_INPUT.items() for op in ops.split()},
    **{("", op): _per_window(count) for op, count in _PER_WINDOW.items()},
    ("", "DFT"): _fourier,
    ("com.microsoft", "QLinearGlobalAveragePool"): _per_input(1),
}
