"""Choose the weights that go, layer by layer or over all layers, once or along a schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ncgopt.errors import Usage
from ncgopt.prune.layers import Layer
from ncgopt.prune.moments import Moments
from ncgopt.prune.pattern import Pattern
from ncgopt.prune.settings import Method, PruneSettings, is_called
from ncgopt.prune.unstructured import exact, obs

Array: TypeAlias = npt.NDArray[Any]
Calibrate: TypeAlias = Callable[[Sequence[Layer], int], Mapping[int, Moments]]


@dataclass(frozen=True)
class Plan:
    """What will happen to each layer.

    Attributes:
        layers: those that are pruned.
        shares: share of zeros in each, by its position.
        left: what is left alone, and why: one line each.
        notes: what else the user should know.
    """

    layers: tuple[Layer, ...]
    shares: tuple[float, ...]
    left: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def plan(layers: Iterable[Layer], settings: PruneSettings) -> Plan:
    """Which layers are pruned, and how much of each where that is asked for layer by layer.

    Raises:
        Usage: no layer is left, the pattern divides none of them, or a share of its own names none.
    """
    pattern = Pattern.parse(settings.pattern)
    chosen: list[Layer] = []
    shares: list[float] = []
    left: list[str] = []
    known = list(layers)
    for glob in settings.layers:
        if not any(is_called(glob, layer.name, layer.weight.name) for layer in known):
            raise Usage(f"prune: no layer is called {glob}")
    for layer in known:
        share = settings.share(layer.name, layer.weight.name)
        rows, columns = layer.matrices().shape[1:]
        if share == 0:
            left.append(f"{layer.name}: its share is 0")
        elif not pattern.fits(rows, columns):
            left.append(f"{layer.name}: pattern {pattern.text} does not divide its {rows} x {columns} weights")
        else:
            chosen.append(layer)
            shares.append(pattern.sparsity or (settings.sparsity if share is None else share))
    if not known:
        raise Usage("prune: the model has no Conv, Gemm or MatMul with constant weights that --keep does not protect")
    if not chosen:
        raise Usage(f"prune: nothing can be pruned: {left[0]}")
    return Plan(tuple(chosen), tuple(shares), tuple(left))


def at_step(final: float, step: int, settings: PruneSettings) -> float:
    """Sparsity after `step` of `settings.steps`: all at once, or `s_t = s_f + (s_i - s_f)(1 - t)^3` from s_i = 0.

    Zhu and Gupta, "To prune, or not to prune", 2017.
    """
    if settings.schedule == "constant" or step >= settings.steps:
        return final
    return final - final * (1 - step / settings.steps) ** 3


def prune(plan: Plan, settings: PruneSettings, calibrate: Calibrate | None) -> list[str]:
    """Replace the weights of the plan's layers; returns what the user should know about it.

    Args:
        plan: what goes.
        settings: method, scope, schedule.
        calibrate: moments of the layers' inputs in the model as it is now; called at every step, with its number, so
            that each makes up for what the one before changed. None for `magnitude`.
    """
    notes: dict[str, None] = {}
    dense = [layer.matrices() for layer in plan.layers] if settings.schedule == "polynomial" else []
    steps = settings.steps if settings.schedule == "polynomial" else 1
    for step in range(1, steps + 1):
        moments: Mapping[int, Moments] = calibrate(plan.layers, step) if calibrate is not None else {}
        wanted = [at_step(share, step, settings) for share in plan.shares]
        shares = _over_all(plan, wanted, moments, settings) if settings.scope == "global" else wanted
        for key, layer in enumerate(plan.layers):
            method: Method = settings.method if key in moments else "magnitude"
            if method != settings.method:
                notes[f"{layer.name}: no run shows its input, so it was pruned by magnitude"] = None
            first = dense[key] if dense else None
            layer.set_matrices(_pruned(layer, moments.get(key), method, shares[key], settings, first))
    return list(notes)


def _pruned(
    layer: Layer, moments: Moments | None, method: Method, share: float, settings: PruneSettings, first: Array | None
) -> Array:
    pattern = Pattern.parse(settings.pattern)
    dense = layer.matrices()
    if moments is None or method != "obs":
        scores = _scores(dense, moments if method == "wanda" else None)
        groups, rows, columns = dense.shape
        mask = pattern.mask(scores.reshape(groups * rows, columns), share).reshape(dense.shape)
        return np.where(mask, 0.0, dense)
    found = np.empty_like(dense)
    for group, matrix in enumerate(dense):
        gram = moments.gram[group]
        if exact.affordable(*matrix.shape):
            wanted = (first[group], moments.cross[group]) if first is not None and moments.cross is not None else None
            found[group] = exact.prune(matrix, gram, pattern, share, settings.damping, wanted)
        else:
            found[group] = obs.prune(matrix, gram, pattern, share, settings.damping)
    return found


def _scores(dense: Array, moments: Moments | None) -> Array:
    """|W|, times the norm of the input it multiplies where that is known (Sun et al., Wanda, 2023).

    Compared over the whole layer and not output by output, as the paper does for language models: where some inputs are
    always zero, as at the border of an image, that loses less (14.4 points instead of 18.4 at 70 % of `digits_mlp`).
    """
    scores = np.abs(dense)
    if moments is None:
        return scores
    return scores * np.sqrt(np.einsum("gii->gi", moments.gram))[:, None, :]


def _over_all(
    plan: Plan, wanted: Sequence[float], moments: Mapping[int, Moments], settings: PruneSettings
) -> list[float]:
    """Shares per layer such that one threshold holds for all, and the sum is what was wanted.

    Scores of different layers are comparable only relative to the layer: the error a weight adds is divided by the
    energy of the layer's output, magnitudes by their root mean square.
    """
    pattern = Pattern.parse(settings.pattern)
    if pattern.of:
        return list(wanted)
    scores = [_relative(layer, moments.get(key), settings) for key, layer in enumerate(plan.layers)]
    flat = np.concatenate([score.reshape(-1) for score in scores])
    count = round(sum(share * layer.size for share, layer in zip(wanted, plan.layers, strict=True)))
    cut = np.partition(flat, count - 1)[count - 1] if count else -1.0
    return [min(float((score <= cut).mean()), 1 - 1 / max(score.size, 2)) for score in scores]


def _relative(layer: Layer, moments: Moments | None, settings: PruneSettings) -> Array:
    dense = layer.matrices()
    if moments is None or settings.method == "magnitude":
        return np.abs(dense) / (np.sqrt(np.mean(dense**2)) or 1.0)
    if settings.method == "wanda":
        scores = _scores(dense, moments)
        return scores / (np.sqrt(np.mean(scores**2)) or 1.0)
    scores = np.empty_like(dense)
    energy = 0.0
    for group, matrix in enumerate(dense):
        gram = obs.damped(moments.gram[group], settings.damping)
        scores[group] = matrix**2 / np.diag(np.linalg.inv(gram))
        energy += float(np.einsum("oi,ij,oj->", matrix, gram, matrix, optimize=True))
    return scores / (energy or 1.0)
