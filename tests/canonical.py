"""Model text that does not depend on names nobody outside can see."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper


def canonical(model: onnx.ModelProto) -> str:
    """Interface, nodes and constants of `model`; inner values are numbered in order of definition."""
    lines = [f"opset {sorted((o.domain, o.version) for o in model.opset_import if o.domain in _used(model))}"]
    lines += _graph(model.graph, {}, "", {})
    for function in model.functions:
        names = {name: name for name in function.input}
        lines.append(f"function {function.domain}::{function.name} {list(function.input)} {list(function.output)}")
        for node in function.node:
            lines += _node(node, names, "  ", {})
    return "\n".join(lines)


def _used(model: onnx.ModelProto) -> set[str]:
    found: set[str] = set()
    stack = list(model.graph.node) + [n for f in model.functions for n in f.node]
    while stack:
        node = stack.pop()
        found.add(node.domain)
        stack += [n for a in node.attribute if a.HasField("g") for n in a.g.node]
    return found


def _graph(
    graph: onnx.GraphProto, outer: dict[str, str], indent: str, outer_tensors: dict[str, onnx.TensorProto]
) -> list[str]:
    names = dict(outer)
    tensors = {**outer_tensors, **{t.name: t for t in graph.initializer}}
    lines: list[str] = []
    for value in graph.input:
        names[value.name] = value.name
        lines.append(f"{indent}input {_declared(value)}" + (" with default" if value.name in tensors else ""))
    for value in graph.output:
        names.setdefault(value.name, value.name)
        lines.append(f"{indent}output {_declared(value)}")
    for node in graph.node:
        lines += _node(node, names, indent, tensors)
    lines += [
        f"{indent}output initializer {v.name} = {_tensor(tensors[v.name])}" for v in graph.output if v.name in tensors
    ]
    return lines


def _node(node: onnx.NodeProto, names: dict[str, str], indent: str, tensors: dict[str, onnx.TensorProto]) -> list[str]:
    inputs = [_tensor(tensors[n]) if n in tensors and names.get(n) != n else names.get(n, n) for n in node.input]
    lines: list[str] = []
    for name in node.output:
        if name:
            names.setdefault(name, f"%{len(names)}")
    attributes = []
    for a in sorted(node.attribute, key=lambda a: a.name):
        if a.type == onnx.AttributeProto.GRAPH:
            lines.append(f"{indent}  {a.name}:")
            lines += _graph(a.g, names, indent + "    ", tensors)
        elif a.type == onnx.AttributeProto.TENSOR:
            attributes.append(f"{a.name}={_tensor(a.t)}")
        else:
            attributes.append(f"{a.name}={a.ref_attr_name or onnx.helper.get_attribute_value(a)}")
    head = f"{indent}{[names.get(o, o) for o in node.output]} = {node.domain}::{node.op_type}({', '.join(inputs)})"
    return [f"{head} {' '.join(attributes)}".rstrip(), *lines]


def _declared(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    dims = [d.dim_param or (d.dim_value if d.HasField("dim_value") else "?") for d in tensor.shape.dim]
    return f"{value.name} {onnx.TensorProto.DataType.Name(tensor.elem_type)} {dims}"


def _tensor(tensor: onnx.TensorProto) -> str:
    array = numpy_helper.to_array(tensor)
    return f"<{array.dtype} {list(array.shape)} {np.asarray(array).tolist()}>"
