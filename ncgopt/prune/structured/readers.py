"""Layers that read the channels of a group, and which columns of their weights a unit is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from ncgopt import facts
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


@dataclass(frozen=True)
class Bias:
    """What a layer adds to its outputs, `[outputs]`, where nothing else reads it."""

    value: ir.Value

    def get(self) -> Array:
        """As float64."""
        tensor = self.value.const_value
        assert tensor is not None
        return np.asarray(tensor.numpy()).astype(np.float64).reshape(-1)

    def set(self, array: Array) -> None:
        """Rounds to its type."""
        tensor = self.value.const_value
        assert tensor is not None
        rounded = array.reshape(tensor.shape.numpy()).astype(np.asarray(tensor.numpy()).dtype)
        self.value.const_value = ir.Tensor(rounded, dtype=tensor.dtype, name=self.value.name)


def bias_of(layer: Layer) -> Bias | None:
    """The bias that can take over a mean; None where there is none, or others read it too."""
    if len(layer.uses) != 1:
        return None
    node = layer.uses[0].node
    candidates: list[ir.Value | None] = []
    if node.op_type in ("Conv", "Gemm"):
        plain = node.op_type == "Conv" or all(facts.float_attribute(node, name) == 1 for name in ("alpha", "beta"))
        candidates = [facts.input_of(node, 2)] if plain else []
    elif layer.uses[0].side == 1:
        users = list(node.outputs[0].uses())
        if len(users) == 1 and users[0].node.op_type == "Add" and not node.outputs[0].is_graph_output():
            candidates = [value for value in users[0].node.inputs if value is not node.outputs[0]]
    rows = layer.matrices().shape[1]
    for value in candidates:
        if value is None or not value.is_initializer() or not facts.is_constant(value) or not facts.is_float(value):
            continue
        tensor = value.const_value
        fits = tensor is not None and tensor.size == rows == tensor.shape.numpy()[-1]
        if fits and len(list(value.uses())) == 1:
            return Bias(value)
    return None
