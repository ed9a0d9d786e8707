"""What a convolution multiplies its kernel with, as the rows of a matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

_BYTES = 1 << 26  # of patches at a time


@dataclass(frozen=True)
class Window:
    """How a convolution moves over its input; one entry per spatial axis.

    Attributes:
        kernel, strides, dilations: as in the operator's specification.
        pads: begin of each axis, then end of each; None where `auto_pad` tells.
        auto_pad: `NOTSET`, `VALID`, `SAME_UPPER`, `SAME_LOWER`.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...] | None
    auto_pad: str = "NOTSET"

    def padding(self, spatial: Sequence[int]) -> list[tuple[int, int]]:
        """Zeros before and after each spatial axis of an input of this size."""
        rank = len(self.kernel)
        if self.auto_pad not in ("SAME_UPPER", "SAME_LOWER"):
            pads = self.pads if self.pads is not None and self.auto_pad == "NOTSET" else (0,) * (2 * rank)
            return [(pads[k], pads[rank + k]) for k in range(rank)]
        found: list[tuple[int, int]] = []
        for size, kernel, stride, dilation in zip(spatial, self.kernel, self.strides, self.dilations, strict=True):
            outputs = -(-size // stride)
            total = max(0, (outputs - 1) * stride + (kernel - 1) * dilation + 1 - size)
            small, large = total // 2, total - total // 2
            found.append((small, large) if self.auto_pad == "SAME_UPPER" else (large, small))
        return found


def patches(x: Array, window: Window, groups: int) -> Iterator[Array]:
    """Patches of `x` `[batch, channels, *spatial]`, in parts of bounded size.

    Yields:
        `[groups, positions, channels / groups * kernel]`, float32, channel-major as the kernel is stored.
    """
    rank = len(window.kernel)
    per_sample = int(np.prod(x.shape[1:])) * int(np.prod(window.kernel)) * 4
    step = max(1, _BYTES // max(per_sample, 1))
    pads = window.padding(x.shape[2:])
    for start in range(0, len(x), step):
        part = np.pad(x[start : start + step].astype(np.float32, copy=False), [(0, 0), (0, 0), *pads])
        spans = tuple((k - 1) * d + 1 for k, d in zip(window.kernel, window.dilations, strict=True))
        view = cast(Array, np.lib.stride_tricks.sliding_window_view(part, spans, axis=tuple(range(2, 2 + rank))))
        view = view[(slice(None), slice(None), *(slice(None, None, s) for s in window.strides))]
        view = view[(..., *(slice(None, None, d) for d in window.dilations))]
        count, channels, *grid = view.shape[: 2 + rank]
        split = view.reshape(count, groups, channels // groups, *grid, *window.kernel)
        order = (1, 0, *range(3, 3 + rank), 2, *range(3 + rank, 3 + 2 * rank))
        yield split.transpose(order).reshape(groups, count * int(np.prod(grid)), -1)
