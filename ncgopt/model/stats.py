"""How large a model is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import onnx_ir as ir

from ncgopt.model.tensors import tensor_bytes
from ncgopt.report import ModelStats


def stats(model: ir.Model, file_bytes: int = 0) -> ModelStats:
    """Count the model's nodes, weights and operators; nothing is read from disk.

    A tensor object that several initializers or Constants share is counted once for each.
    Sparse tensors count with all their elements, but only the bytes of those stored.

    Args:
        model: the model.
        file_bytes: bytes on disk, to be passed on into the result.
    """
    operators: Counter[str] = Counter()
    tensors: list[ir.TensorProtocol] = []
    initializers = 0
    for graph in _graphs(model):
        initializers += len(graph.initializers)
        tensors += [value.const_value for value in graph.initializers.values() if value.const_value is not None]
        for node in graph:
            operators[f"{node.domain}::{node.op_type}" if node.domain else node.op_type] += 1
            if node.op_type == "Constant" and node.domain == "":
                tensors += [a.value for a in node.attributes.values() if a.type == ir.AttributeType.TENSOR and a.value]
    constants = operators["Constant"]
    ordered = sorted(operators.items(), key=lambda item: (-item[1], item[0]))
    return ModelStats(
        nodes=operators.total() - constants,
        constants=constants,
        initializers=initializers,
        parameters=sum(math.prod(tensor.shape.numpy()) for tensor in tensors),
        weight_bytes=sum(tensor_bytes(tensor) for tensor in tensors),
        file_bytes=file_bytes,
        operators=dict(ordered),
    )


def _graphs(model: ir.Model) -> Iterator[ir.Graph]:
    for graph in [model.graph, *(function.graph for function in model.functions.values())]:
        yield graph
        yield from graph.subgraphs()
