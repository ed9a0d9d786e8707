"""Which units matter least, and in which order they should go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from ncgopt.prune.channels.groups import Channels, Group
from ncgopt.prune.moments import Moments
from ncgopt.prune.structured.readers import Reader
from ncgopt.prune.unstructured.obs import damped

Array: TypeAlias = npt.NDArray[Any]

_CHUNK = 24  # of what is left, one part of so many goes before everything is weighed anew


def magnitude(group: Group, channels: Channels) -> Array:
    """Squared norm of all weights that go with a unit, each relative to the mean over units.

    Fang et al., "DepGraph: Towards Any Structural Pruning", 2023.
    """
    total = np.zeros(len(group.units))
    for (value, axis), places in group.places.items():
        if (value, axis) not in channels.trace.made and (value, axis) not in channels.trace.summed:
            continue
        tensor = value.const_value
        if tensor is None or not value.is_initializer():
            continue
        array = np.asarray(tensor.numpy()).astype(np.float64)
        norms = np.square(np.moveaxis(array, axis, 0)).reshape(array.shape[axis], -1).sum(axis=1)
        own = norms[places].sum(axis=1)
        total += own / (own.mean() or 1.0)
    return total


def activation(readers: Sequence[tuple[Reader, Moments]]) -> Array:
    """Energy that a unit contributes to the outputs of its readers, were its channels independent of each other."""
    total = np.zeros(len(readers[0][0].columns))
    for reader, moments in readers:
        matrix, gram = reader.layer.matrices()[0], moments.gram[0]
        energy = np.square(matrix).sum(axis=0) * np.diag(gram)
        total += energy[reader.columns].sum(axis=1) / (energy.sum() or 1.0)
    return total


@dataclass
class _State:
    weights: Array
    inverse: Array
    columns: Array
    energy: float


def surgeon_order(
    readers: Sequence[tuple[Reader, Moments]], count: int, damping: float, grams: Mapping[ir.Value, Array]
) -> list[int]:
    """Units in the order in which they should go, `count` of them.

    Each costs `tr(W_u inv(inv(H)_uu) W_u')` at the readers, which is what remains of the error when the columns that
    stay make up for it; what they have become after the units before went counts (Hassibi and Stork, 1993).

    Args:
        readers: layers that read the units, with moments.
        count: how many go.
        damping: relative to the mean diagonal.
        grams: the Gram matrix to use per weight: about the mean where a bias takes the mean over.
    """
    states: list[_State] = []
    for reader, _ in readers:
        matrix, gram = reader.layer.matrices()[0], damped(grams[reader.layer.weight], damping)
        energy = float(np.einsum("oi,ij,oj->", matrix, gram, matrix, optimize=True)) or 1.0
        states.append(_State(matrix.copy(), np.linalg.inv(gram), reader.columns, energy))
    left: list[int] = list(range(len(states[0].columns)))
    order: list[int] = []
    while len(order) < count:
        costs = np.sum([_costs(state, left) for state in states], axis=0)
        chunk = min(max(1, len(left) // _CHUNK), count - len(order))
        picked = [left[int(index)] for index in np.argsort(costs, kind="stable")[:chunk]]
        for state in states:
            _remove(state, state.columns[picked].reshape(-1))
        order += picked
        gone = set(picked)
        left = [unit for unit in left if unit not in gone]
    return order


def _costs(state: _State, left: Sequence[int]) -> Array:
    columns = state.columns[np.asarray(left)]
    blocks = state.inverse[columns[:, :, None], columns[:, None, :]]
    weights = state.weights[:, columns].transpose(1, 2, 0)
    return np.einsum("uko,uko->u", weights, np.linalg.solve(blocks, weights)) / state.energy


def _remove(state: _State, columns: Array) -> None:
    across = np.linalg.solve(state.inverse[np.ix_(columns, columns)], state.inverse[columns])
    state.weights = state.weights - state.weights[:, columns] @ across
    state.inverse = state.inverse - state.inverse[:, columns] @ across
    # What is gone must not come back through rounding: its rows become those of an input that is not there.
    state.inverse[columns], state.inverse[:, columns] = 0.0, 0.0
    state.inverse[columns, columns] = 1.0
