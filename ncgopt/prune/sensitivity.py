"""What pruning each layer, or each group of channels, would cost on its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from ncgopt.prune.channels.groups import find_channels
from ncgopt.prune.layers import find_layers
from ncgopt.prune.pruner import Pruner
from ncgopt.prune.quality import Quality
from ncgopt.prune.settings import PruneSettings
from ncgopt.prune.structured.removal import found_in
from ncgopt.prune.unstructured.prune import plan

SHARES = (0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True)
class Point:
    """One layer or group pruned alone.

    Attributes:
        share: of it that went.
        drop: of the metric.
        error: of the outputs, relative to their variance; what decides are small differences, which a share of
            decisions does not show.
    """

    share: float
    drop: float
    error: float


@dataclass(frozen=True)
class Sensitivity:
    """Of one layer or group.

    Attributes:
        name: of it.
        weight: weights, or channels: what a share of it is a share of.
        points: by growing share.
    """

    name: str
    weight: int
    points: tuple[Point, ...]


def sweep(pruner: Pruner, settings: PruneSettings, shares: Sequence[float] = SHARES) -> list[Sensitivity]:
    """Prune one after the other by every share, the rest left as it is, and measure."""
    if settings.unit == "blocks":
        return _blocks(pruner, settings)
    names = parts(pruner, settings)
    alone = dataclasses.replace(settings, scope="layer", schedule="constant", steps=1)
    found: list[Sensitivity] = []
    for number, (name, weight) in enumerate(names, start=1):
        pruner.say(f"sensitivity of {name} ({number} of {len(names)})")
        nothing = {other: 0.0 for other, _ in names if other != name}
        paths = [pruner.pruned(alone, {**nothing, name: share}, check=False).path for share in shares]
        qualities = pruner.quality(paths)
        for path in paths:
            path.unlink()
        points = (_point(share, quality) for share, quality in zip(shares, qualities, strict=True))
        found.append(Sensitivity(name, weight, tuple(points)))
    return found


def _blocks(pruner: Pruner, settings: PruneSettings) -> list[Sensitivity]:
    found = found_in(pruner.load(pruner.base), settings).blocks
    pruner.say(f"sensitivity of {len(found)} blocks")
    qualities = pruner.without([[block.name] for block in found])
    return [
        Sensitivity(block.name, block.weights, (_point(1.0, quality),))
        for block, quality in zip(found, qualities, strict=True)
    ]


def _point(share: float, quality: Quality) -> Point:
    return Point(share, quality.drop, quality.others["mse"])


def parts(pruner: Pruner, settings: PruneSettings) -> list[tuple[str, int]]:
    """Names and sizes of what can be pruned; layers with a share of their own left out."""
    model = pruner.load(pruner.base)
    if settings.structured:
        groups = find_channels(model, settings).groups
        return [
            (group.name, group.width)
            for group in groups
            if settings.share(group.name, *(node.name for node in group.makers)) is None
        ]
    layers = plan(find_layers(model, settings), settings).layers
    return [(one.name, one.size) for one in layers if settings.share(one.name, one.weight.name) is None]
