"""Optimal brain surgeon, column by column: a weight that goes is made up for by those to its right.

Frantar and Alistarh, "SparseGPT: Massive Language Models Can be Accurately Pruned in One-Shot", 2023,
after Hassibi and Stork, 1993. For the layer's output `W x` and the Gram matrix `H = X'X` of its inputs, the
error that removing weight `w` of column `c` adds is `w^2 / inv(H)[c, c]` at best, which the update
`W -= w / inv(H)[c, c] * inv(H)[c, :]` attains. With columns taken in order, what remains of the inverse after each
of them is in the rows of one Cholesky factor.
"""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from ncgopt.prune.pattern import Pattern

Array: TypeAlias = npt.NDArray[Any]

_BLOCK = 128  # columns between two updates of all that follow
_MAX_DAMPING = 1e6


def damped(gram: Array, damping: float) -> Array:
    """The Gram matrix with `damping` times its mean diagonal added, and 1 where an input is always zero."""
    found = np.array(gram, np.float64)
    diagonal = np.einsum("ii->i", found)
    mean = float(diagonal.mean()) or 1.0
    diagonal[diagonal <= 0] = mean
    diagonal += damping * mean
    return found


def inverse_factor(gram: Array, damping: float) -> Array:
    """Upper Cholesky factor `U` of the inverse, `U'U = inv(H)`; damped further until it exists."""
    while True:
        try:
            inverse = np.linalg.inv(damped(gram, damping))
            return cast(Array, np.linalg.cholesky((inverse + inverse.T) / 2).T)
        except np.linalg.LinAlgError:
            damping *= 10
            if damping > _MAX_DAMPING:
                raise


def saliency(matrix: Array, factor: Array) -> Array:
    """Error that each weight's removal adds, `[outputs, inputs]`, for the columns in the factor's order."""
    return (matrix / np.diag(factor)) ** 2


def prune(matrix: Array, gram: Array, pattern: Pattern, sparsity: float, damping: float) -> Array:
    """The matrix with `sparsity` of its weights zero and the others changed to make up for them.

    Args:
        matrix: `[outputs, inputs]`, float64.
        gram: `X'X` of the inputs, `[inputs, inputs]`.
        pattern: where zeros may lie; N:M chooses among the columns of one part at a time.
        sparsity: share of zeros where the pattern leaves that open.
        damping: relative to the mean of the Gram matrix's diagonal.
    """
    factor = inverse_factor(gram, damping)
    weights = matrix.copy()
    step = _stride(pattern)
    # All at once: the factor's diagonal knows that columns to the left can no longer help.
    mask = None if pattern.of else pattern.mask(saliency(weights, factor), sparsity)
    for start in range(0, weights.shape[1], step):
        stop = min(start + step, weights.shape[1])
        errors = np.zeros((weights.shape[0], stop - start))
        chosen = mask[:, start:stop] if mask is not None else np.zeros(errors.shape, bool)
        for column in range(start, stop):
            if mask is None and (column - start) % pattern.of == 0:
                part = slice(column, column + pattern.of)
                scores = (weights[:, part] / np.diag(factor)[part]) ** 2
                chosen[:, column - start : column - start + pattern.of] = pattern.mask(scores, 0.0)
            gone = chosen[:, column - start]
            error = np.where(gone, weights[:, column], 0.0) / factor[column, column]
            weights[:, column:stop] -= np.outer(error, factor[column, column:stop])
            weights[gone, column] = 0.0
            errors[:, column - start] = error
        weights[:, stop:] -= errors @ factor[start:stop, stop:]
    return weights


def _stride(pattern: Pattern) -> int:
    return max(pattern.of, _BLOCK // pattern.of * pattern.of) if pattern.of else _BLOCK
