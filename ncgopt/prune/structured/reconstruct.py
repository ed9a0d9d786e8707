"""What remains of a layer's inputs makes up for what went: least squares on the calibration data."""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from ncgopt.prune.bias import bias_of
from ncgopt.prune.layers import Layer
from ncgopt.prune.moments import Moments
from ncgopt.prune.unstructured.obs import damped

Array: TypeAlias = npt.NDArray[Any]


def gram_for(layer: Layer, moments: Moments) -> Array:
    """About the mean where the layer has a bias that can take the mean over, about zero elsewhere."""
    gram = np.array(moments.gram[0], np.float64)
    if bias_of(layer) is not None:
        gram -= np.outer(moments.mean[0], moments.mean[0])
    return gram


def reconstruct(layer: Layer, moments: Moments, gone: Array, damping: float) -> None:
    """Change weight and bias in place so that columns `gone` (a mask) can be taken out at the least loss.

    The minimum of `E |W x - V x_S - c|^2` over `V` and `c`: `V = W H[:, S] inv(H_SS)`, with `H` about the mean where
    there is a bias for `c`.
    """
    gram = damped(gram_for(layer, moments), damping)
    matrix, stays = layer.matrices()[0], np.flatnonzero(~gone)
    found = np.zeros_like(matrix)
    right: Array = (matrix @ gram)[:, stays]
    found[:, stays] = cast(Array, np.linalg.solve(gram[np.ix_(stays, stays)], right.T)).T
    bias = bias_of(layer)
    if bias is not None:
        bias.set(bias.get() + (matrix - found) @ moments.mean[0])
    layer.set_matrices(found[None])
