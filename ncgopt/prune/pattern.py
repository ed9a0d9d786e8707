"""Where zeros may lie: anywhere, N of M neighbours, or whole blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ncgopt.errors import Usage

Array: TypeAlias = npt.NDArray[Any]

_NEIGHBOURS = re.compile(r"^(\d+):(\d+)$")
_BLOCK = re.compile(r"^block(?::(\d+)x(\d+))?$")


@dataclass(frozen=True)
class Pattern:
    """A rule about zeros in a matrix `[rows, columns]`, one row per output.

    Attributes:
        text: as the user wrote it.
        kept, of: `kept` of `of` neighbours along a row stay (`2:4`); 0 where that is not the rule.
        block: rows and columns of the blocks that go together; (1, 1) for single weights.
    """

    text: str = "unstructured"
    kept: int = 0
    of: int = 0
    block: tuple[int, int] = (1, 1)

    @staticmethod
    def parse(text: str) -> Pattern:
        """`unstructured`, `2:4`, `block`, `block:4x2`; raises Usage for anything else."""
        if text == "unstructured":
            return Pattern()
        if (found := _NEIGHBOURS.match(text)) is not None:
            kept, of = int(found[1]), int(found[2])
            if not 0 < kept < of:
                raise Usage(f"prune: pattern {text}: of N:M, N must be at least 1 and less than M")
            return Pattern(text, kept, of)
        if (found := _BLOCK.match(text)) is not None:
            rows, columns = int(found[1] or 1), int(found[2] or 8)
            if rows * columns < 2:
                raise Usage(f"prune: pattern {text}: a block has at least two weights")
            return Pattern(text, block=(rows, columns))
        raise Usage(f"prune: pattern {text!r} is none of unstructured, N:M, block, block:RxC")

    @property
    def sparsity(self) -> float | None:
        """The share of zeros that the pattern fixes; None where it leaves that open."""
        return 1 - self.kept / self.of if self.of else None

    def fits(self, rows: int, columns: int) -> bool:
        """Whether a matrix of this size divides into the pattern's parts."""
        if self.of:
            return columns % self.of == 0
        return rows % self.block[0] == 0 and columns % self.block[1] == 0

    def pooled(self, scores: Array) -> Array:
        """One score per part that goes or stays as a whole, `[rows / block, columns / block]`."""
        height, width = self.block
        if (height, width) == (1, 1):
            return scores
        rows, columns = scores.shape
        return scores.reshape(rows // height, height, columns // width, width).sum(axis=(1, 3))

    def spread(self, mask: Array) -> Array:
        """The inverse of `pooled` for a mask."""
        return mask.repeat(self.block[0], axis=0).repeat(self.block[1], axis=1)

    def mask(self, scores: Array, sparsity: float) -> Array:
        """True where a weight goes: those of the least score, `sparsity` of them (N:M has its own share).

        Args:
            scores: importance `[rows, columns]`.
            sparsity: share that goes, rounded to whole parts.
        """
        if self.of:
            rows, columns = scores.shape
            parts = scores.reshape(rows, columns // self.of, self.of)
            order = np.argsort(parts, axis=2, kind="stable")[:, :, : self.of - self.kept]
            found = np.zeros(parts.shape, bool)
            np.put_along_axis(found, order, True, axis=2)
            return found.reshape(rows, columns)
        pooled = self.pooled(scores)
        return self.spread(_least(pooled, round(pooled.size * sparsity)))


def _least(scores: Array, count: int) -> Array:
    found = np.zeros(scores.size, bool)
    if count:
        found[np.argpartition(scores, count - 1, axis=None)[:count]] = True
    return found.reshape(scores.shape)
