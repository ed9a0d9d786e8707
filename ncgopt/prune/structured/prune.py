"""One round of structured pruning: trace, weigh, reconstruct, cut, and check that the cut is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from ncgopt.errors import Usage
from ncgopt.prune.channels.cut import cut, removed_positions, silence
from ncgopt.prune.channels.groups import Channels, Group, find_channels
from ncgopt.prune.layers import Layer
from ncgopt.prune.moments import Moments
from ncgopt.prune.report import GroupOutcome
from ncgopt.prune.settings import PruneSettings, is_called
from ncgopt.prune.structured import importance
from ncgopt.prune.structured.readers import Reader, layers_by_weight, readers
from ncgopt.prune.structured.reconstruct import gram_for, reconstruct
from ncgopt.prune.structured.widths import units_to_keep
from ncgopt.prune.unstructured.prune import at_step

Array: TypeAlias = npt.NDArray[Any]
Calibrate: TypeAlias = Callable[[ir.Model, Sequence[Layer]], Mapping[int, Moments]]
Load: TypeAlias = Callable[[], ir.Model]


@dataclass(frozen=True)
class Outcome:
    """What was done.

    Attributes:
        groups: units before and after.
        left: what had to stay, and why.
        notes: what else the user should know.
    """

    groups: tuple[GroupOutcome, ...]
    left: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """Units that go, and how many of each group stay."""

    channels: Channels
    gone: tuple[int, ...]
    keep: tuple[int, ...]


@dataclass(frozen=True)
class AtStep:
    """One step of a schedule.

    Attributes:
        step: from 1 to `settings.steps`.
        settings: what to do.
        own: shares of groups by name, over the common one.
        before: units of each group before the first step; empty at the first.
    """

    step: int
    settings: PruneSettings
    own: Mapping[str, float]
    before: Mapping[str, int]


def shares_of(channels: Channels, at: AtStep) -> list[float]:
    """Share of each group's present units that goes: its own from `own` or `settings.layers`, else the common one.

    Raises:
        Usage: nothing can be removed, or a share of its own names no group.
    """
    settings = at.settings
    if not channels.groups:
        reason = f": {channels.left[0]}" if channels.left else ""
        raise Usage(f"prune: no channels of this model can be removed{reason}")
    for glob in settings.layers:
        names = [name for group in channels.groups for name in _names(group)]
        if not is_called(glob, *names):
            raise Usage(f"prune: no group of channels is called {glob}")
    found: list[float] = []
    for group in channels.groups:
        share = settings.share(*_names(group))
        final = at.own.get(group.name, settings.sparsity) if share is None else share
        left = at.before.get(group.name, len(group.units)) * (1 - at_step(final, at.step, settings))
        found.append(max(0.0, 1 - left / len(group.units)))
    return found


def _names(group: Group) -> list[str]:
    return [group.name, *(node.name or "" for node in group.makers)]


def choose(model: ir.Model, at: AtStep, calibrate: Calibrate | None) -> tuple[Choice, Mapping[ir.Value, Moments]]:
    """Which units go; also the moments of the layers that read them."""
    settings = at.settings
    channels = find_channels(model, settings)
    keep = units_to_keep(channels.groups, shares_of(channels, at), settings.align)
    layers = layers_by_weight(model)
    reading = [readers(group, channels, layers) for group in channels.groups]
    wanted = list({r.layer.weight: r.layer for found in reading for r in found if r.layer.observable}.values())
    moments: Mapping[int, Moments] = calibrate(model, wanted) if calibrate is not None else {}
    by_weight = {wanted[key].weight: found for key, found in moments.items()}
    gone: list[int] = []
    for group, count, found in zip(channels.groups, keep, reading, strict=True):
        known = [(reader, by_weight[reader.layer.weight]) for reader in found if reader.layer.weight in by_weight]
        order = _order(group, channels, known, len(group.units) - count, settings)
        gone += [group.units[index] for index in order]
    return Choice(channels, tuple(gone), tuple(keep)), by_weight


def _order(
    group: Group, channels: Channels, known: Sequence[tuple[Reader, Moments]], count: int, settings: PruneSettings
) -> list[int]:
    if count == 0:
        return []
    if settings.method == "obs" and known:
        grams = {reader.layer.weight: gram_for(reader.layer, moments) for reader, moments in known}
        return importance.surgeon_order(known, count, settings.damping, grams)
    if settings.method == "wanda" and known:
        scores = importance.activation(known)
    else:
        scores = importance.magnitude(group, channels)
    return [int(index) for index in np.argsort(scores, kind="stable")[:count]]


def apply(model: ir.Model, choice: Choice, moments: Mapping[ir.Value, Moments], settings: PruneSettings) -> None:
    """Cut the units out of the model, after the layers that read them took over (`obs`)."""
    removed = removed_positions(choice.channels, choice.gone)
    if settings.method == "obs":
        for value, layer in layers_by_weight(model).items():
            gone = _gone_columns(layer, value, choice, removed)
            if gone is not None and value in moments:
                reconstruct(layer, moments[value], gone, settings.damping)
    cut(model, choice.channels, removed)


def _gone_columns(
    layer: Layer, value: ir.Value, choice: Choice, removed: Mapping[tuple[ir.Value, int], Array]
) -> Array | None:
    for axis in (0, 1):
        if (value, axis) in removed and (value, axis) in choice.channels.trace.summed and layer.groups == 1:
            mask = removed[value, axis]
            return mask.repeat(layer.matrices().shape[2] // len(mask))
    return None


def outcomes(choice: Choice) -> tuple[GroupOutcome, ...]:
    """Units before and after, group by group."""
    return tuple(
        GroupOutcome(group.name, len(group.units), keep, group.unit)
        for group, keep in zip(choice.channels.groups, choice.keep, strict=True)
    )


def twins(
    load: Load, settings: PruneSettings, gone: Sequence[int], save: Callable[[ir.Model], Path]
) -> tuple[Path, Path]:
    """The model with the units silenced, and with them cut out; both must compute the same."""
    silent, short = load(), load()
    channels = find_channels(silent, settings)
    silence(channels, removed_positions(channels, gone))
    first = save(silent)
    channels = find_channels(short, settings)
    cut(short, channels, removed_positions(channels, gone))
    return first, save(short)
