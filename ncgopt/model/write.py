"""From the in-memory form to messages, with everything that the model had when it was read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import onnx
import onnx_ir as ir

from ncgopt.model import messages, scope
from ncgopt.model.attributes import write_attribute, write_sparse, write_sparse_value
from ncgopt.model.tensors import SparseTensor, write_tensor
from ncgopt.model.values import write_value_info

TensorWriter = Callable[[ir.TensorProtocol], onnx.TensorProto]


def to_proto(model: ir.Model, *, embed: bool = False) -> onnx.ModelProto:
    """The model as a message that holds a copy of all embedded weights.

    External data are referred to by absolute path (ONNX Runtime takes such a model from bytes only
    through a file of its own: use `save`), or copied into the message with `embed`. A message may
    exceed 2 GiB in memory; only its serialization is limited.
    """
    return Writer(lambda tensor: write_tensor(tensor, embed=embed)).model(model)


class Writer:
    """Writes models, all tensors through `tensor`."""

    def __init__(self, tensor: TensorWriter) -> None:
        self.tensor = tensor

    def model(self, model: ir.Model) -> onnx.ModelProto:
        """The whole model."""
        proto = write_model_head(model)
        messages.restore(model.meta, proto)
        self._graph(model.graph, proto.graph)
        for function in model.functions.values():
            self._function(function, proto.functions.add())
        return proto

    @staticmethod
    def interface(model: ir.Model) -> onnx.ModelProto:
        """The model without nodes, initializers, value infos and functions."""
        proto = write_model_head(model)
        messages.restore(model.meta, proto)
        _write_interface(model.graph, scope.get(model.graph), proto.graph)
        return proto

    def _initializer(self, value: ir.Value) -> onnx.TensorProto:
        """The tensor of an initializer under the name of its value."""
        tensor = _const(value)
        proto = self.tensor(tensor)
        proto.name = value.name or ""
        return proto

    def _graph(self, graph: ir.Graph, proto: onnx.GraphProto) -> None:
        kept = scope.get(graph)
        _write_interface(graph, kept, proto)
        values = scope.values_of(graph)
        for value in graph.initializers.values():
            if isinstance(value.const_value, SparseTensor):
                sparse = write_sparse(value.const_value, self.tensor)
                sparse.values.name = value.name or ""
                proto.sparse_initializer.add().CopyFrom(sparse)
            else:
                proto.initializer.add().CopyFrom(self._initializer(value))
        _write_infos(kept, values, proto.value_info)
        for item in kept.annotations:
            if (item.name in values) == (item.written is not None):
                proto.quantization_annotation.add().ParseFromString(item.read)
        for node in graph:
            self._node(node, proto.node.add())

    def _function(self, function: ir.Function, proto: onnx.FunctionProto) -> None:
        proto.CopyFrom(write_function_head(function))
        messages.restore(function.graph.meta, proto)
        for attribute in function.attributes.values():
            if attribute.value is not None or attribute.is_ref():
                proto.attribute_proto.add().CopyFrom(self._attribute(attribute))
        _write_infos(scope.get(function.graph), scope.values_of(function.graph), proto.value_info)
        for node in function:
            self._node(node, proto.node.add())

    def _node(self, node: ir.Node, proto: onnx.NodeProto) -> None:
        proto.CopyFrom(write_node_head(node))
        messages.restore(node.meta, proto)
        for attribute in node.attributes.values():
            if is_sparse_constant(node, attribute):
                proto.attribute.add().CopyFrom(write_sparse_value(attribute, self.tensor))
            else:
                proto.attribute.add().CopyFrom(self._attribute(attribute))

    def _attribute(self, attribute: ir.Attr) -> onnx.AttributeProto:
        return write_attribute(attribute, self.tensor, self._subgraph)

    def _subgraph(self, graph: ir.Graph) -> onnx.GraphProto:
        proto = onnx.GraphProto()
        self._graph(graph, proto)
        return proto


def is_sparse_constant(node: ir.Node, attribute: ir.Attr) -> bool:
    """Whether this is the `value` of a Constant that the file has as `sparse_value`."""
    dense = attribute.name == "value" and attribute.type == ir.AttributeType.TENSOR
    return dense and node.op_type == "Constant" and node.domain == "" and isinstance(attribute.value, SparseTensor)


def write_model_head(model: ir.Model) -> onnx.ModelProto:
    """The model without graph and functions."""
    proto = onnx.ModelProto(ir_version=model.ir_version)
    for name in ("producer_name", "producer_version", "domain", "model_version", "doc_string"):
        value = getattr(model, name)
        if value:
            setattr(proto, name, value)
    _write_opsets(proto, model.opset_imports)
    _write_metadata(proto, model.metadata_props)
    proto.configuration.extend(ir.serde.serialize_model_configuration(item) for item in model.device_configurations)
    return proto


def write_graph_head(graph: ir.Graph) -> onnx.GraphProto:
    """The graph's own name and texts."""
    proto = onnx.GraphProto()
    if graph.name:
        proto.name = graph.name
    if graph.doc_string:
        proto.doc_string = graph.doc_string
    _write_metadata(proto, graph.metadata_props)
    return proto


def write_function_head(function: ir.Function) -> onnx.FunctionProto:
    """The function's signature and texts."""
    proto = onnx.FunctionProto(name=function.name, domain=function.domain)
    if function.overload:
        proto.overload = function.overload
    if function.doc_string:
        proto.doc_string = function.doc_string
    proto.input.extend(value.name or "" for value in function.inputs)
    proto.output.extend(value.name or "" for value in function.outputs)
    proto.attribute.extend(a.name for a in function.attributes.values() if a.value is None and not a.is_ref())
    _write_opsets(proto, function.opset_imports)
    _write_metadata(proto, function.metadata_props)
    return proto


def write_node_head(node: ir.Node) -> onnx.NodeProto:
    """The node without its attributes."""
    proto = onnx.NodeProto(op_type=node.op_type)
    for name in ("name", "domain", "overload", "doc_string"):
        value = getattr(node, name)
        if value:
            setattr(proto, name, value)
    proto.input.extend("" if value is None else value.name or "" for value in node.inputs)
    proto.output.extend(value.name or "" for value in node.outputs)
    _write_metadata(proto, node.metadata_props)
    for item in node.device_configurations:
        proto.device_configurations.append(ir.serde.serialize_node_device_configuration(item))
    return proto


def _write_interface(graph: ir.Graph, kept: scope.Scope, proto: onnx.GraphProto) -> None:
    proto.CopyFrom(write_graph_head(graph))
    messages.restore(graph.meta, proto)
    _write_inputs(graph, kept, proto)
    _write_outputs(graph, kept, proto)


def _write_inputs(graph: ir.Graph, kept: scope.Scope, proto: onnx.GraphProto) -> None:
    """Inputs in their order; below IR version 4 initializers take their old places among them."""
    entries = {item.name: item for item in kept.inputs}
    listed = {value.name or "": value for value in graph.inputs}
    if kept.initializer_inputs != "never":
        for name, value in graph.initializers.items():
            if name in entries or kept.initializer_inputs == "all":
                listed.setdefault(name, value)
    for name in [*(name for name in entries if name in listed), *(name for name in listed if name not in entries)]:
        info = write_value_info(listed[name], name)
        if name in entries:
            scope.revive(entries[name], info)
        proto.input.add().CopyFrom(info)


def _write_outputs(graph: ir.Graph, kept: scope.Scope, proto: onnx.GraphProto) -> None:
    entries = {item.name: item for item in kept.outputs}
    for value in graph.outputs:
        name = value.name or ""
        info = write_value_info(value, name)
        if name in entries:
            scope.revive(entries[name], info)
        proto.output.add().CopyFrom(info)


def _write_infos(kept: scope.Scope, values: Mapping[str, ir.Value], target: Any) -> None:
    """Value infos that the file had, of values that still exist; and those that never named a value."""
    for item in kept.value_info:
        if item.written is None:
            if item.name not in values:
                target.add().ParseFromString(item.read)
        elif item.name in values:
            info = write_value_info(values[item.name], item.name)
            scope.revive(item, info)
            if info.HasField("type"):
                target.add().CopyFrom(info)


def _const(value: ir.Value) -> ir.TensorProtocol:
    if value.const_value is None:
        raise ValueError(f"initializer {value.name!r} has no tensor")
    return value.const_value


def _write_opsets(proto: onnx.ModelProto | onnx.FunctionProto, opsets: Mapping[str, int]) -> None:
    for domain, version in opsets.items():
        proto.opset_import.add(domain=domain, version=version)


def _write_metadata(
    proto: onnx.ModelProto | onnx.GraphProto | onnx.FunctionProto | onnx.NodeProto, entries: Mapping[str, str]
) -> None:
    for key, value in entries.items():
        proto.metadata_props.add(key=key, value=value)
