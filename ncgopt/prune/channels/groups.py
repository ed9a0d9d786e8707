"""From ties and locks to groups of channels of which any may go."""

from __future__ import annotations

import collections
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from ncgopt.prune.channels import layouts, products, statistics
from ncgopt.prune.channels.atoms import Array, Key
from ncgopt.prune.channels.trace import Trace, trace
from ncgopt.prune.settings import PruneSettings

HANDLERS = {**products.HANDLERS, **layouts.HANDLERS, **statistics.HANDLERS}


@dataclass(frozen=True)
class Group:
    """Units that are interchangeable: channels of one width, heads of one attention, hidden units.

    Attributes:
        name: of the node that makes them, and how many more do.
        units: label of each unit, in the order of its first position.
        unit: channels per unit along the axis that counts (a head has many).
        makers: nodes whose weights make the channels.
        places: per axis that the units run along, the positions of each unit, `[units, positions]`.
    """

    name: str
    units: tuple[int, ...]
    unit: int
    makers: tuple[ir.Node, ...]
    places: dict[Key, Array]

    @property
    def width(self) -> int:
        """Channels of all units."""
        return len(self.units) * self.unit


@dataclass(frozen=True)
class Channels:
    """What can be removed from a model, and what not.

    Attributes:
        groups: independent of each other.
        left: `name: why` for outputs of weights that have to stay.
        trace: how it was found.
    """

    groups: tuple[Group, ...]
    left: tuple[str, ...]
    trace: Trace


def find_channels(model: ir.Model, settings: PruneSettings) -> Channels:
    """Trace the model (its shapes known to `ncgopt.facts`) and gather what can go."""
    found = trace(model, settings, HANDLERS)
    labels, locked = found.atoms.labels(), found.atoms.locked()
    touched: dict[int, set[Key]] = collections.defaultdict(set)
    for key, (start, size) in found.atoms.axes.items():
        for label in np.unique(labels[start : start + size]).tolist():
            if label not in locked:
                touched[label].add(key)
    alike: dict[frozenset[Key], list[int]] = collections.defaultdict(list)
    for label, keys in touched.items():
        if any(key in found.made for key in keys) and any(key in found.summed for key in keys):
            alike[frozenset(keys)].append(label)
    groups = [_group(found, labels, keys, sorted(units)) for keys, units in alike.items() if len(units) > 1]
    order = {id(node): index for index, node in enumerate(model.graph)}
    groups.sort(key=lambda group: order.get(id(group.makers[0]), 0))
    return Channels(tuple(groups), tuple(_left(found, labels, locked)), found)


def _group(found: Trace, labels: Array, keys: frozenset[Key], units: list[int]) -> Group:
    places: dict[Key, Array] = {}
    for key in keys:
        start, size = found.atoms.axes[key]
        own = labels[start : start + size]
        order = np.argsort(own, kind="stable")
        inside = order[np.isin(own[order], units)]
        places[key] = inside.reshape(len(units), -1)
    makers = list(dict.fromkeys(found.made[key] for key in found.atoms.axes if key in keys and key in found.made))
    first = places[next(key for key in found.atoms.axes if key in keys and key in found.made)]
    more = f" (+{len(makers) - 1})" if len(makers) > 1 else ""
    name = (makers[0].name or makers[0].outputs[0].name or makers[0].op_type) + more
    return Group(name, tuple(units), first.shape[1], tuple(makers), places)


def _left(found: Trace, labels: Array, locked: dict[int, str]) -> list[str]:
    lines: list[str] = []
    for key, node in found.made.items():
        if key not in found.atoms.axes:
            continue
        start, size = found.atoms.axes[key]
        reasons = {locked[label] for label in np.unique(labels[start : start + size]).tolist() if label in locked}
        if reasons:
            lines.append(f"{node.name or key[0].name}: {min(reasons)}")
    return lines
