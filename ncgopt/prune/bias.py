"""The bias of a layer, which can take over the mean of what its weights no longer give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from ncgopt import facts
from ncgopt.prune.layers import Layer

Array: TypeAlias = npt.NDArray[Any]


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
    groups, rows, _ = layer.matrices().shape
    for value in candidates:
        if value is None or not value.is_initializer() or not facts.is_constant(value) or not facts.is_float(value):
            continue
        tensor = value.const_value
        fits = tensor is not None and tensor.size == groups * rows == tensor.shape.numpy()[-1]
        if fits and len(list(value.uses())) == 1:
            return Bias(value)
    return None
