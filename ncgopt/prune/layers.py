"""Layers that multiply by a weight, and that weight as one matrix per group."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.nesting import nodes_within
from ncgopt.prune.settings import PruneSettings

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Use:
    """One node that multiplies by the weight.

    Attributes:
        node: Conv, Gemm or MatMul.
        given: what the weight is multiplied with.
        side: input of the node that the weight is.
        axis: axis of `given` that is summed over; -1 or -2, 1 of a Conv.
        observable: whether `given` is a value of the main graph, which a run can show.
    """

    node: ir.Node
    given: ir.Value
    side: int
    axis: int
    observable: bool


@dataclass(frozen=True)
class Layer:
    """A weight and all nodes that multiply by it (tied weights are one layer).

    Attributes:
        name: of the first node, or of the weight where that has none.
        weight: an initializer of the main graph or of a subgraph.
        uses: the nodes; never empty.
        groups: groups of a convolution, 1 elsewhere.
        transposed: whether the weight is stored `[inputs, outputs]`.
    """

    name: str
    weight: ir.Value
    uses: tuple[Use, ...]
    groups: int = 1
    transposed: bool = False

    @property
    def operator(self) -> str:
        """Of the first node."""
        return self.uses[0].node.op_type

    @property
    def observable(self) -> bool:
        """Whether a run can show all that the weight is multiplied with."""
        return all(use.observable for use in self.uses)

    def matrices(self) -> Array:
        """The weight as float64 `[groups, outputs, inputs]`; the inputs of a Conv are channel-major patches."""
        tensor = self.weight.const_value
        assert tensor is not None
        array = np.asarray(tensor.numpy()).astype(np.float64)
        if self.transposed:
            array = array.T
        return array.reshape(self.groups, array.shape[0] // self.groups, -1)

    def set_matrices(self, matrices: Array) -> None:
        """Replace the weight by what `matrices` gave, changed; rounds to its type."""
        tensor = self.weight.const_value
        assert tensor is not None
        shape = tensor.shape.numpy()
        array = matrices.reshape(-1, matrices.shape[-1])
        array = array.T if self.transposed else array.reshape(shape)
        rounded = np.ascontiguousarray(array).astype(np.asarray(tensor.numpy()).dtype)
        self.weight.const_value = ir.Tensor(rounded, dtype=tensor.dtype, name=self.weight.name)

    @property
    def zeros(self) -> int:
        """Weights that are zero."""
        tensor = self.weight.const_value
        assert tensor is not None
        return tensor.size - int(np.count_nonzero(np.asarray(tensor.numpy())))

    @property
    def size(self) -> int:
        """Weights."""
        tensor = self.weight.const_value
        assert tensor is not None
        return tensor.size


def find_layers(model: ir.Model, settings: PruneSettings | None = None) -> list[Layer]:
    """Every prunable weight once, in the order of its first use; `settings.keep` left out."""
    found: dict[ir.Value, Layer] = {}
    for node in _nodes(model):
        layer = _layer(node, model.graph)
        if layer is None:
            continue
        if settings is not None and settings.is_kept(node.name, layer.weight.name):
            continue
        known = found.get(layer.weight)
        if known is None:
            found[layer.weight] = layer
        elif (known.groups, known.transposed) == (layer.groups, layer.transposed):
            found[layer.weight] = dataclasses.replace(known, uses=(*known.uses, *layer.uses))
    return list(found.values())


def _nodes(model: ir.Model) -> Iterator[ir.Node]:
    yield from nodes_within(model.graph)
    for function in model.functions.values():
        yield from nodes_within(function.graph)


def _layer(node: ir.Node, main: ir.Graph) -> Layer | None:
    if node.domain not in ("", "ai.onnx") or node.op_type not in ("Conv", "Gemm", "MatMul"):
        return None
    sides = {"Conv": ((1, 0, 1),), "Gemm": ((1, 0, -1), (0, 1, -2)), "MatMul": ((1, 0, -1), (0, 1, -2))}
    for side, other, axis in sides[node.op_type]:
        weight, given = facts.input_of(node, side), facts.input_of(node, other)
        if weight is None or given is None or not _is_weight(weight, node):
            continue
        transposed = False
        if node.op_type == "Gemm":
            flag = facts.int_attribute(node, "transB" if side == 1 else "transA") or 0
            transposed = (flag == 0) if side == 1 else flag == 1
            turned = facts.int_attribute(node, "transA" if side == 1 else "transB") or 0
            axis = (-2 if turned else -1) if side == 1 else (-1 if turned else -2)
        elif node.op_type == "MatMul":
            transposed = side == 1
        groups = (facts.int_attribute(node, "group") or 1) if node.op_type == "Conv" else 1
        use = Use(node, given, side, axis, _is_observable(given, main))
        return Layer(node.name or weight.name or "", weight, (use,), groups, transposed)
    return None


def _is_weight(value: ir.Value, node: ir.Node) -> bool:
    if not value.is_initializer() or not facts.is_constant(value) or not facts.is_float(value):
        return False
    tensor = value.const_value
    assert tensor is not None
    rank = len(tensor.shape)
    return tensor.size > 0 and (rank >= 3 if node.op_type == "Conv" else rank == 2)


def _is_observable(value: ir.Value, main: ir.Graph) -> bool:
    producer = value.producer()
    if producer is not None:
        return producer.graph is main
    return value.is_graph_input() and value.graph is main
