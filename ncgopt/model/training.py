"""Names that the model mentions outside of its graphs, and that must therefore keep their meaning."""

from __future__ import annotations

import onnx
import onnx_ir as ir

from ncgopt.model import messages, scope


def pinned_names(model: ir.Model) -> frozenset[str]:
    """Values that training info or quantization annotations refer to.

    No runtime of ours reads these parts, but whoever does finds the values by name: passes must not
    remove, rename or merge them.
    """
    names: set[str] = set()
    for info in messages.original(model.meta, onnx.ModelProto()).training_info:
        for binding in [*info.initialization_binding, *info.update_binding]:
            names |= {binding.key, binding.value}
        for graph in (info.initialization, info.algorithm):
            names |= {name for node in graph.node for name in node.input}
    for graph in [model.graph, *model.graph.subgraphs()]:
        for item in scope.get(graph).annotations:
            annotation = onnx.TensorAnnotation.FromString(item.read)
            names |= {entry.value for entry in annotation.quant_parameter_tensor_names}
    return frozenset(names - {""})
