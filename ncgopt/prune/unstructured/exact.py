"""Optimal brain surgeon row by row, for layers that are small enough: every row keeps its own inverse.

Where a mask is given, the best values of what stays are a least-squares problem of their own in each row:
`w_S = (w H)_S inv(H_SS)`. What a further weight would cost is `w^2 / inv(H_SS)[c, c]`, exactly. Pruning in rounds,
each choosing by what the rounds before left, comes close to removing weight by weight (Frantar and Alistarh,
"Optimal Brain Compression", 2022) at a fraction of its price.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ncgopt.prune.pattern import Pattern
from ncgopt.prune.unstructured.obs import damped

Array: TypeAlias = npt.NDArray[Any]

_ROUNDS = 6
_LARGEST = 4e10  # rows * inputs^3: about a minute on one core for all rounds


def affordable(rows: int, columns: int) -> bool:
    """Whether `prune` takes seconds rather than minutes for a matrix of this size."""
    return rows * float(columns) ** 3 <= _LARGEST


def prune(
    matrix: Array,
    gram: Array,
    pattern: Pattern,
    sparsity: float,
    damping: float,
    wanted: tuple[Array, Array] | None = None,
) -> Array:
    """The matrix with `sparsity` of its weights zero and the others at their best.

    Args:
        matrix: `[outputs, inputs]`, float64.
        gram: `X'X` of the inputs.
        pattern: where zeros may lie.
        sparsity: share of zeros where the pattern leaves that open.
        damping: relative to the mean of the Gram matrix's diagonal.
        wanted: the matrix of the model that was not pruned, and `Y'X` of its inputs `Y` and ours: the result then comes
            as close to what that layer computed as our inputs allow, and not to what ours computes by now.
    """
    regular = damped(gram, damping)
    mask = matrix == 0
    if wanted is None:
        target, weights = matrix @ regular, matrix
    else:
        dense, cross = wanted
        target = dense @ (cross + regular - gram)
        weights = refit(target, regular, mask)
    gram = regular
    for share in _shares(pattern, sparsity, float(mask.mean())):
        scores = _saliencies(weights, gram, mask)
        mask = _partial(pattern, share).mask(scores, share)
        weights = refit(target, gram, mask)
    return weights


def refit(target: Array, gram: Array, mask: Array) -> Array:
    """The best weights where `mask` says which ones are zero.

    Args:
        target: `W H` of the dense weights, `[outputs, inputs]`.
        gram: `H`, positive definite.
        mask: True for zeros.
    """
    found = np.zeros(target.shape)

    def one(row: int) -> None:
        stays = np.flatnonzero(~mask[row])
        if len(stays):
            found[row, stays] = np.linalg.solve(gram[np.ix_(stays, stays)], target[row, stays])

    in_parallel(one, len(target))
    return found


def _saliencies(weights: Array, gram: Array, mask: Array) -> Array:
    """What each weight would cost; -1 where it is gone already, so that it goes first."""
    scores = np.full(weights.shape, -1.0)

    def one(row: int) -> None:
        stays = np.flatnonzero(~mask[row])
        if len(stays):
            inverse = np.linalg.inv(gram[np.ix_(stays, stays)])
            scores[row, stays] = weights[row, stays] ** 2 / np.diag(inverse)

    in_parallel(one, len(weights))
    return scores


def in_parallel(act: Callable[[int], None], count: int) -> None:
    """Call `act` for every number below `count`; numpy lets go of Python's lock while it solves."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(act, range(count)):
            pass


def _shares(pattern: Pattern, sparsity: float, already: float) -> list[float]:
    """Sparsity after each round: N:M loses one weight of each part per round, the rest shrinks geometrically."""
    if pattern.of:
        return [gone / pattern.of for gone in range(1, pattern.of - pattern.kept + 1)]
    if already >= sparsity:
        return [sparsity]
    left = (1 - sparsity) / (1 - already)
    return [1 - (1 - already) * left ** (step / _ROUNDS) for step in range(1, _ROUNDS)] + [sparsity]


def _partial(pattern: Pattern, share: float) -> Pattern:
    if not pattern.of:
        return pattern
    return Pattern(pattern.text, pattern.of - round(share * pattern.of), pattern.of)
