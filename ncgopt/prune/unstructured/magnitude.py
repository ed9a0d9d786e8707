"""What weights are worth by themselves, and how many of each layer go where layers compete.

The command `prune` and the pass `prune-weights` both choose with this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ncgopt.prune.pattern import Pattern

Array: TypeAlias = npt.NDArray[Any]


def relative(scores: Array) -> Array:
    """Scores over their root mean square: those of different layers are comparable only in relation to their layer."""
    return scores / (float(np.sqrt(np.mean(np.square(scores)))) or 1.0)


def common_shares(scores: Sequence[Array], count: int) -> list[float]:
    """How much of each layer goes if `count` weights of all layers go, those of least score; no layer goes whole."""
    flat = np.concatenate([score.reshape(-1) for score in scores])
    cut = np.partition(flat, count - 1)[count - 1] if count else -1.0
    return [min(float((score <= cut).mean()), 1 - 1 / max(score.size, 2)) for score in scores]


def without_smallest(array: Array, share: float) -> Array:
    """The array with this share of its elements zero, those of least magnitude; its type stays."""
    flat = array.reshape(1, -1)
    gone = Pattern().mask(np.abs(flat.astype(np.float32)), share)
    return np.where(gone, np.zeros((), array.dtype), flat).reshape(array.shape)
