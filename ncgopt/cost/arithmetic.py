"""Shapes computed by the model itself: once the inputs' sizes are bound, these are constants.

Exporters write `Shape -> Gather -> Concat -> Reshape`; ONNX's data propagation follows the simple ones
only. Here every small node with known inputs is computed and stands in as a `Constant`, inference runs
again, and so on until nothing new is found.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ncgopt.cost.standins import Exchange, subgraphs

# Deterministic operators that occur in computations on shapes.
_FOLDS = frozenset(
    [
        "Add",
        "And",
        "Cast",
        "Ceil",
        "Concat",
        "ConstantOfShape",
        "Div",
        "Equal",
        "Expand",
        "Flatten",
        "Floor",
        "Gather",
        "Greater",
        "GreaterOrEqual",
        "Identity",
        "Less",
        "LessOrEqual",
        "Max",
        "Min",
        "Mod",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "Range",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "Reshape",
        "ScatterElements",
        "ScatterND",
        "Shape",
        "Size",
        "Slice",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Tile",
        "Transpose",
        "Unsqueeze",
        "Where",
    ]
)
_MAX_ELEMENTS = 1024
_MAX_ROUNDS = 100

_Arrays = dict[str, np.ndarray[Any, Any]]


def infer(model: onnx.ModelProto, exchange: Exchange) -> onnx.ModelProto:
    """Infer shapes with the model's own shape computations evaluated; stand-ins stay in the result.

    Args:
        model: static input shapes, no local functions.
        exchange: an exchange on this model's graph; the caller restores it on the returned model.
    """
    inferred = _infer(model)
    folding = _Folding(inferred)
    for _ in range(_MAX_ROUNDS):
        exchange.move_to(inferred.graph)
        folding.look_at(inferred.graph)
        if not exchange.put(folding.constant_for):
            break
        inferred = _infer(inferred)
    exchange.move_to(inferred.graph)
    return inferred


def _infer(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except onnx.shape_inference.InferenceError:  # of no use on this model, which may still run
        return model


class _Folding:
    """Which nodes are constants, from what one round after the other finds out."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._opsets = list(model.opset_import)
        self._ir_version = model.ir_version
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._arrays: _Arrays = {}
        # Two branches may give different values the same name; which one is meant is not worth knowing.
        self._twice = _defined_twice(model.graph)
        self._learn_constants(model.graph)

    def look_at(self, graph: onnx.GraphProto) -> None:
        """Learn the shapes that inference found."""
        for value in (*graph.input, *graph.value_info, *graph.output):
            if value.name not in self._shapes and value.name not in self._twice:
                shape = _static(value.type)
                if shape is not None:
                    self._shapes[value.name] = shape
        for subgraph in _all_subgraphs(graph):
            self.look_at(subgraph)

    def _learn_constants(self, graph: onnx.GraphProto) -> None:
        for tensor in graph.initializer:
            self._know(tensor.name, tensor)
        for node in graph.node:
            if node.op_type == "Constant" and not node.domain:
                self._learn_constant(node)
        for subgraph in _all_subgraphs(graph):
            self._learn_constants(subgraph)

    def _know(self, name: str, tensor: onnx.TensorProto) -> None:
        if name in self._twice:
            return
        self._shapes[name] = tuple(tensor.dims)
        if math.prod(tensor.dims) <= _MAX_ELEMENTS and tensor.data_location != onnx.TensorProto.EXTERNAL:
            self._arrays[name] = numpy_helper.to_array(tensor)

    def _learn_constant(self, node: onnx.NodeProto) -> None:
        attribute = node.attribute[0]
        match attribute.name:
            case "value":
                self._know(node.output[0], attribute.t)
            case "value_int" | "value_ints":
                self._know(node.output[0], _tensor(attribute, np.int64))
            case "value_float" | "value_floats":
                self._know(node.output[0], _tensor(attribute, np.float32))
            case _:
                return

    def constant_for(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """A `Constant` for a node whose result follows from constants; else nothing."""
        if node.domain or node.op_type not in _FOLDS:
            return []
        if any(name in self._twice for name in node.output):
            return []
        results = self._results(node)
        stand_ins: list[onnx.NodeProto] = []
        for name, array in zip(node.output, results, strict=False):
            self._arrays[name] = array
            self._shapes[name] = array.shape
            stand_ins.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array)))
        return stand_ins

    def _results(self, node: onnx.NodeProto) -> list[np.ndarray[Any, Any]]:
        shape = self._shapes.get(node.input[0])
        if node.op_type == "Size" and shape is not None:
            return [np.array(math.prod(shape), dtype=np.int64)]
        if node.op_type == "Shape" and shape is not None:
            bounds = {a.name: a.i for a in node.attribute}
            return [np.array(shape, dtype=np.int64)[bounds.get("start", 0) : bounds.get("end")]]
        if any(name and name not in self._arrays for name in node.input):
            return []
        if any(math.prod(self._shapes.get(name, (_MAX_ELEMENTS + 1,))) > _MAX_ELEMENTS for name in node.output):
            return []
        return self._evaluate(node)

    def _evaluate(self, node: onnx.NodeProto) -> list[np.ndarray[Any, Any]]:
        feeds = {name: self._arrays[name] for name in node.input if name}
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in feeds.items()
        ]
        outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
        model = helper.make_model(
            helper.make_graph([node], "one", inputs, outputs), opset_imports=self._opsets, ir_version=self._ir_version
        )
        from onnx.reference import ReferenceEvaluator  # slow to import, and few who count costs need it

        try:
            evaluator: Any = ReferenceEvaluator(model)  # `run` is not typed completely
            results: list[Any] = evaluator.run(None, feeds)
        except Exception:  # it raises whatever numpy raises on nonsense, and then nothing is known
            return []
        return results if all(isinstance(result, np.ndarray) for result in results) else []


def _tensor(attribute: onnx.AttributeProto, dtype: type[np.generic]) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(helper.get_attribute_value(attribute), dtype=dtype))


def _all_subgraphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Graphs directly below this one."""
    for node in graph.node:
        yield from subgraphs(node)


def _defined_twice(graph: onnx.GraphProto) -> set[str]:
    names = Counter(_defined(graph))
    return {name for name, count in names.items() if count > 1}


def _defined(graph: onnx.GraphProto) -> Iterator[str]:
    yield from {value.name for value in (*graph.input, *graph.initializer)}
    for node in graph.node:
        yield from filter(None, node.output)
        for subgraph in subgraphs(node):
            yield from _defined(subgraph)


def _static(kind: onnx.TypeProto) -> tuple[int, ...] | None:
    if not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    if any(not dim.HasField("dim_value") or dim.dim_value < 0 for dim in dims):
        return None
    return tuple(dim.dim_value for dim in dims)
