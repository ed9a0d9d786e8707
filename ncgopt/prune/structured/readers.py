"""Layers that read the channels of a group, and which columns of their weights a unit is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from ncgopt.prune.channels.groups import Channels, Group
from ncgopt.prune.layers import Layer, find_layers

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Reader:
    """One layer that sums over the channels of a group.

    Attributes:
        layer: it; has one group.
        columns: columns of its matrix per unit, `[units, columns]`.
    """

    layer: Layer
    columns: Array


def layers_by_weight(model: ir.Model) -> dict[ir.Value, Layer]:
    """Every layer of the model, `--keep` or not."""
    return {layer.weight: layer for layer in find_layers(model)}


def readers(group: Group, channels: Channels, layers: Mapping[ir.Value, Layer]) -> list[Reader]:
    """The layers that read the group; what is no Conv, Gemm or MatMul is left out."""
    found: list[Reader] = []
    for (value, axis), places in group.places.items():
        layer = layers.get(value)
        if layer is None or layer.groups != 1 or (value, axis) not in channels.trace.summed:
            continue
        each = _columns_per_channel(layer)
        columns = places[:, :, None] * each + np.arange(each)
        found.append(Reader(layer, columns.reshape(len(places), -1)))
    return found


def _columns_per_channel(layer: Layer) -> int:
    tensor = layer.weight.const_value
    assert tensor is not None
    return int(np.prod(tensor.shape.numpy()[2:])) if layer.operator == "Conv" else 1
