"""From messages to the in-memory form: `ir.Model` of onnx-ir, with the rest kept beside it.

onnx-ir's own reader drops or refuses parts of the format (sparse tensors, maps, training info, value
infos of unknown names, unknown fields ...). This one keeps what the in-memory form cannot hold in the
`meta` of the object it belongs to; `write.py` puts it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx
import onnx_ir as ir

from ncgopt.errors import ModelInvalid
from ncgopt.model import messages, scope
from ncgopt.model.attributes import read_attribute
from ncgopt.model.tensor_reader import TensorReader
from ncgopt.model.values import read_value_info, write_value_info
from ncgopt.model.write import write_function_head, write_graph_head, write_model_head, write_node_head

Scopes = list[dict[str, ir.Value]]

_GRAPH_PARTS = frozenset(
    {"node", "initializer", "sparse_initializer", "input", "output", "value_info", "quantization_annotation"}
)
_LISTED_INITIALIZERS_BELOW = 4
"""IR version from which on an initializer need not be an input, and one that is may be overridden."""


class Reader:
    """Reads one model; the messages are kept and must not be changed afterwards.

    Attributes:
        tensors: reads tensors; knows afterwards whether there were external data.
    """

    def __init__(self, tensors: TensorReader) -> None:
        self.tensors = tensors
        self._ir_version = 0
        self._undefined: set[ir.Value] = set()

    def model(self, proto: onnx.ModelProto) -> ir.Model:
        """The model; every node has its operator set version in `node.version`.

        Raises:
            ModelInvalid: the model contradicts itself (a value nobody defines, or two nodes do ...).
            InputUnreadable: external data are missing or refused.
        """
        self._ir_version = proto.ir_version
        opsets = _opsets(proto.opset_import)
        graph = self._graph(proto.graph, [], opsets, "")
        graph.opset_imports.update(opsets)
        model = ir.Model(
            graph,
            ir_version=proto.ir_version,
            producer_name=proto.producer_name or None,
            producer_version=proto.producer_version or None,
            domain=proto.domain or None,
            model_version=proto.model_version or None,
            doc_string=proto.doc_string or None,
            functions=[self._function(function) for function in proto.functions],
            metadata_props={entry.key: entry.value for entry in proto.metadata_props},
            device_configurations=tuple(ir.serde.deserialize_model_configuration(item) for item in proto.configuration),
        )
        if len(model.functions) != len(proto.functions):
            raise ModelInvalid("two local functions have the same domain, name and overload")
        messages.remember(model.meta, messages.header(proto, {"graph", "functions"}), write_model_head(model))
        return model

    def _graph(self, proto: onnx.GraphProto, outer: Scopes, opsets: Mapping[str, int], place: str) -> ir.Graph:
        main = not outer
        initializers = self._initializers(proto, place)
        hidden = initializers.keys() if main and self._ir_version < _LISTED_INITIALIZERS_BELOW else frozenset[str]()
        inputs = [_input(info, initializers) for info in proto.input if info.name not in hidden]
        values = initializers | {value.name or "": value for value in inputs}
        if len({value.name for value in inputs}) != len(inputs):
            raise ModelInvalid(f"two inputs have the same name{place}")
        scopes = [*outer, values]
        self._declare(proto.node, values, place)
        _apply_infos(proto.value_info, values)
        nodes = [self._node(node, scopes, opsets, place) for node in proto.node]
        outputs = [_output(info, values, place) for info in proto.output]
        graph = ir.Graph(
            inputs,
            outputs,
            nodes=nodes,
            initializers=[values[name] for name in initializers],
            doc_string=proto.doc_string or None,
            name=proto.name or None,
            metadata_props={entry.key: entry.value for entry in proto.metadata_props},
        )
        messages.remember(graph.meta, messages.header(proto, _GRAPH_PARTS), write_graph_head(graph))
        self._keep_scope(proto, graph, values, main=main)
        return graph

    def _keep_scope(
        self, proto: onnx.GraphProto, graph: ir.Graph, values: Mapping[str, ir.Value], *, main: bool
    ) -> None:
        listing = "never"
        if main and self._ir_version < _LISTED_INITIALIZERS_BELOW:
            listing = "all" if graph.initializers.keys() <= {info.name for info in proto.input} else "known"
        kept = scope.Scope(
            inputs=_entries(proto.input, values),
            outputs=_entries(proto.output, values),
            value_info=_entries(proto.value_info, values),
            annotations=tuple(
                scope.Entry(item.tensor_name, messages.encode(item), b"" if item.tensor_name in values else None)
                for item in proto.quantization_annotation
            ),
            initializer_inputs=listing,
        )
        scope.keep(graph, kept)

    def _function(self, proto: onnx.FunctionProto) -> ir.Function:
        place = f" in function {proto.domain}::{proto.name}"
        inputs = [ir.Value(name=name) for name in proto.input]
        values = {value.name or "": value for value in inputs}
        opsets = _opsets(proto.opset_import)
        self._declare(proto.node, values, place)
        _apply_infos(proto.value_info, values)
        nodes = [self._node(node, [values], opsets, place) for node in proto.node]
        for name in proto.output:
            if name not in values:
                raise ModelInvalid(f"output {name!r} is not produced by any node{place}")
        graph = ir.Graph(
            inputs,
            [values[name] for name in proto.output],
            nodes=nodes,
            doc_string=proto.doc_string or None,
            opset_imports=opsets,
            name=proto.name or None,
            metadata_props={entry.key: entry.value for entry in proto.metadata_props},
        )
        attributes = [
            read_attribute(item, self.tensors, _no_graph, f"attribute {item.name!r}{place}")
            for item in proto.attribute_proto
        ]
        attributes += [ir.Attr(name, ir.AttributeType.UNDEFINED, None) for name in proto.attribute]
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        function = ir.Function(domain, proto.name, proto.overload, graph=graph, attributes=attributes)
        head = messages.header(proto, {"node", "attribute_proto", "value_info"})
        messages.remember(graph.meta, head, write_function_head(function))
        scope.keep(graph, scope.Scope(value_info=_entries(proto.value_info, values)))
        return function

    def _initializers(self, proto: onnx.GraphProto, place: str) -> dict[str, ir.Value]:
        """Dense and sparse initializers by name; repeated ones were repaired before."""
        tensors: dict[str, ir.TensorProtocol] = {}
        for dense in proto.initializer:
            tensors[dense.name] = self.tensors.read(dense, f"initializer {dense.name!r}{place}")
        for sparse in proto.sparse_initializer:
            name = sparse.values.name
            tensors[name] = self.tensors.read_sparse(sparse, f"initializer {name!r}{place}")
        if len(tensors) != len(proto.initializer) + len(proto.sparse_initializer):
            raise ModelInvalid(f"two initializers have the same name{place}")
        return {
            name: ir.Value(
                name=name,
                type=ir.TensorType(tensor.dtype),
                shape=ir.Shape(tensor.shape.numpy(), frozen=True),
                const_value=tensor,
            )
            for name, tensor in tensors.items()
        }

    def _declare(self, nodes: Iterable[onnx.NodeProto], values: dict[str, ir.Value], place: str) -> None:
        """Make the values that nodes produce, so that subgraphs find those defined further down."""
        for node in nodes:
            for name in node.output:
                if name in values and name:
                    raise ModelInvalid(f"{name!r} is defined twice{place}, the second time by {_title(node)}")
                if name:
                    values[name] = ir.Value(name=name)
                    self._undefined.add(values[name])

    def _find(self, name: str, scopes: Scopes, title: str) -> ir.Value | None:
        value = next((values[name] for values in reversed(scopes) if name in values), None) if name else None
        if name and value is None:
            raise ModelInvalid(f"{title} reads {name!r}, which no input, initializer or node defines")
        if value in self._undefined:
            raise ModelInvalid(f"{title} reads {name!r} before the node that defines it: nodes are not sorted")
        return value

    def _node(self, proto: onnx.NodeProto, scopes: Scopes, opsets: Mapping[str, int], place: str) -> ir.Node:
        title = f"{_title(proto)}{place}"
        constant = proto.op_type == "Constant" and proto.domain in {"", "ai.onnx"}

        def subgraph(graph: onnx.GraphProto, where: str) -> ir.Graph:
            return self._graph(graph, scopes, opsets, f" in {where}")

        attributes = [
            read_attribute(item, self.tensors, subgraph, f"attribute {item.name!r} of {title}", constant=constant)
            for item in proto.attribute
        ]
        if len({attribute.name for attribute in attributes}) != len(attributes):
            raise ModelInvalid(f"{title} has the same attribute twice")
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        node = ir.Node(
            domain,
            proto.op_type,
            [self._find(name, scopes, title) for name in proto.input],
            attributes,
            overload=proto.overload,
            outputs=[scopes[-1][name] if name else ir.Value(name="") for name in proto.output],
            version=opsets.get(domain),
            name=proto.name,
            doc_string=proto.doc_string or None,
            metadata_props={entry.key: entry.value for entry in proto.metadata_props},
            device_configurations=_device_configurations(proto, scopes),
        )
        self._undefined.difference_update(node.outputs)
        messages.remember(node.meta, messages.header(proto, {"attribute"}), write_node_head(node))
        return node


def _opsets(imports: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
    return {"" if item.domain == "ai.onnx" else item.domain: item.version for item in imports}


def _input(info: onnx.ValueInfoProto, initializers: Mapping[str, ir.Value]) -> ir.Value:
    """An input; with a default where an initializer of the same name exists."""
    default = initializers.get(info.name)
    value = ir.Value(name=info.name, const_value=default.const_value if default is not None else None)
    read_value_info(info, value)
    return value


def _output(info: onnx.ValueInfoProto, values: Mapping[str, ir.Value], place: str) -> ir.Value:
    if info.name not in values or not info.name:
        raise ModelInvalid(f"output {info.name!r} is not produced by any node{place}")
    value = values[info.name]
    if value.producer() is not None:
        read_value_info(info, value)
    return value


def _apply_infos(infos: Iterable[onnx.ValueInfoProto], values: Mapping[str, ir.Value]) -> None:
    """Types and shapes of values; an initializer's own tensor knows better."""
    for info in infos:
        value = values.get(info.name)
        if value is not None and value.const_value is None:
            read_value_info(info, value)


def _entries(infos: Iterable[onnx.ValueInfoProto], values: Mapping[str, ir.Value]) -> tuple[scope.Entry, ...]:
    return tuple(scope.entry(info, values, write_value_info) for info in infos)


def _device_configurations(proto: onnx.NodeProto, scopes: Scopes) -> tuple[ir.NodeDeviceConfiguration, ...]:
    """Placements of the node, bound to its values; what lacks a mandatory name stays in the original."""
    complete = all(
        item.configuration_id and all(spec.tensor_name for spec in item.sharding_spec)
        for item in proto.device_configurations
    )
    if not complete or not proto.device_configurations:
        return ()
    names = {spec.tensor_name for item in proto.device_configurations for spec in item.sharding_spec}
    known = {name: value for values in scopes for name, value in values.items() if name in names}
    unknown = {name: ir.Value(name=name) for name in names if name not in known}
    return tuple(
        ir.serde.deserialize_node_device_configuration(item, values=known | unknown)
        for item in proto.device_configurations
    )


def _no_graph(graph: onnx.GraphProto, where: str) -> ir.Graph:
    raise ModelInvalid(f"{where} is a graph, which the default of a function's attribute cannot be")


def _title(node: onnx.NodeProto) -> str:
    kind = f"{node.domain}::{node.op_type}" if node.domain not in {"", "ai.onnx"} else node.op_type
    return f"node {node.name!r} ({kind})" if node.name else f"a node ({kind})"
