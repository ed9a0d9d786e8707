"""Cutting a part out of a model, so that it is a model of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import onnx
import onnx_ir as ir

from ncgopt import facts
from ncgopt import model as models
from ncgopt.reduce.specimen import read_model
from ncgopt.runtime.session import Array

_OVERRIDABLE_SINCE = 4  # the IR version from which an initializer need not be an input


class Graph:
    """The main graph of a model file; nodes are known by their number.

    Attributes:
        nodes: all nodes, in order.
        reads: per node the values that it uses, those that its subgraphs capture included.
    """

    def __init__(self, path: Path) -> None:
        """Read `path`; weights in external data stay where they are until a part needs them."""
        self.proto = read_model(path, weights=False)
        self.nodes = list(self.proto.graph.node)
        self.reads = [tuple(dict.fromkeys(_reads(node))) for node in self.nodes]
        self._folder = path.parent
        self._producer = {name: number for number, node in enumerate(self.nodes) for name in node.output if name}
        self._users: dict[str, list[int]] = {}
        for number, names in enumerate(self.reads):
            for name in names:
                self._users.setdefault(name, []).append(number)
        self._initializers = {tensor.name: tensor for tensor in self.proto.graph.initializer}
        self._inputs = {value.name: value for value in self.proto.graph.input}
        self._outputs = {value.name for value in self.proto.graph.output}
        self._declared = {value.name: value for value in self.proto.graph.value_info}
        self._values = _values_of(models.load(path).model)

    def around(self, chosen: Iterable[int]) -> set[int]:
        """`chosen` and the nodes next to them."""
        wider = set(chosen)
        for number in tuple(wider):
            wider.update(self._producer[name] for name in self.reads[number] if name in self._producer)
            for name in self.nodes[number].output:
                wider.update(self._users.get(name, ()))
        return wider

    def boundary(self, chosen: Collection[int]) -> list[str]:
        """What a part must be fed: values that it uses and does not compute, initializers and constants left out."""
        inside = {name for number in self._with_constants(chosen) for name in self.nodes[number].output}
        needed = dict.fromkeys(name for number in sorted(chosen) for name in self.reads[number] if name not in inside)
        return [name for name in needed if name not in self._initializers or name in self._inputs]

    def cut(self, chosen: Collection[int], data: Mapping[str, Array], *, sized: bool = False) -> onnx.ModelProto | None:
        """The nodes `chosen` as a model.

        What they use and do not compute becomes an input, declared as it is known to be; what anything
        else uses of theirs becomes an output, so that rules still see that it is used.

        Args:
            chosen: numbers of nodes.
            data: where known, what the inputs hold.
            sized: declare inputs with the sizes that `data` have, instead of symbols.

        Returns:
            None where the type of an input is not known.
        """
        everything = self._with_constants(chosen)
        made = onnx.ModelProto(ir_version=self.proto.ir_version, producer_name=self.proto.producer_name)
        made.opset_import.extend(self.proto.opset_import)
        made.graph.name = self.proto.graph.name or "part"
        made.graph.node.extend(self.nodes[number] for number in everything)
        inside = dict.fromkeys(name for number in everything for name in self.nodes[number].output if name)
        for name in dict.fromkeys(name for number in everything for name in self.reads[number]):
            if name in self._initializers:
                made.graph.initializer.append(self._loaded(name))
            if name in inside or (name in self._initializers and name not in self._inputs):
                continue
            declared = self._declaration(name, data.get(name), sized=sized)
            if declared is None:
                return None
            made.graph.input.append(declared)
        made.graph.output.extend(
            self._declaration(name) or onnx.ValueInfoProto(name=name) for name in self._leaving(everything)
        )
        made.graph.value_info.extend(self._declared[name] for name in inside if name in self._declared)
        made.functions.extend(self._functions(everything))
        return made

    def _with_constants(self, chosen: Collection[int]) -> list[int]:
        """`chosen`, and the `Constant` nodes that they use, in order: rules look at what constants hold."""
        producers = {self._producer[n] for number in chosen for n in self.reads[number] if n in self._producer}
        return sorted({*chosen, *(number for number in producers if self.nodes[number].op_type == "Constant")})

    def _leaving(self, chosen: list[int]) -> list[str]:
        inside = set(chosen)
        made = [name for n in chosen if self.nodes[n].op_type != "Constant" for name in self.nodes[n].output if name]
        leaving = [n for n in made if n in self._outputs or any(user not in inside for user in self._users.get(n, ()))]
        return leaving or [name for name in made if name not in self._users]

    def _loaded(self, name: str) -> onnx.TensorProto:
        tensor = self._initializers[name]
        if not tensor.external_data:
            return tensor
        loaded = onnx.TensorProto()
        loaded.CopyFrom(tensor)
        helper = cast(Any, onnx).external_data_helper
        helper.load_external_data_for_tensor(loaded, str(self._folder))
        del loaded.external_data[:]
        loaded.data_location = onnx.TensorProto.DEFAULT
        return loaded

    def _declaration(self, name: str, array: Array | None = None, *, sized: bool = False) -> onnx.ValueInfoProto | None:
        """Element type and shape of a value; what the author said of an input of the whole model stays."""
        if name in self._inputs and not sized:
            return self._inputs[name]
        value = self._values.get(name)
        dtype = facts.dtype(value) if value is not None else None
        if dtype is not None:
            element = dtype.value
        elif array is not None:
            element = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        else:
            return None
        shape: facts.Shape | None = facts.shape(value) if value is not None else None
        if sized and array is not None:
            shape = array.shape
        return onnx.helper.make_tensor_value_info(name, element, shape)

    def _functions(self, chosen: Iterable[int]) -> list[onnx.FunctionProto]:
        known = {(function.domain, function.name) for function in self.proto.functions}
        called = any((n.domain, n.op_type) in known for number in chosen for n in _all_nodes(self.nodes[number]))
        return list(self.proto.functions) if called else []


def _values_of(model: ir.Model) -> dict[str, ir.Value]:
    facts.survey(model)
    facts.forget()
    made = [value for node in model.graph for value in node.outputs]
    everything = (*model.graph.inputs, *model.graph.initializers.values(), *made)
    return {value.name: value for value in everything if value.name}


def _all_nodes(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    yield node
    for graph in _graphs(node):
        for inner in graph.node:
            yield from _all_nodes(inner)


def _graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    yield from (name for name in node.input if name)
    for graph in _graphs(node):
        own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
        own |= {tensor.values.name for tensor in graph.sparse_initializer}
        for inner in graph.node:
            yield from (name for name in _reads(inner) if name not in own)
            own.update(inner.output)
        yield from (value.name for value in graph.output if value.name not in own)


def changed(before: onnx.ModelProto, after: onnx.ModelProto) -> list[int]:
    """Numbers of the nodes of `before` that `after` does not have, or has on other weights."""
    kept = {_print(node) for node in after.graph.node}
    weights = {tensor.name: _weight(tensor) for tensor in after.graph.initializer}
    touched = {t.name for t in before.graph.initializer if t.name in weights and weights[t.name] != _weight(t)}
    bodies = {(f.domain, f.name): f.SerializeToString(deterministic=True) for f in after.functions}
    functions = {
        (f.domain, f.name)
        for f in before.functions
        if bodies.get((f.domain, f.name)) != f.SerializeToString(deterministic=True)
    }
    return [
        number
        for number, node in enumerate(before.graph.node)
        if _print(node) not in kept
        or touched.intersection(_reads(node))
        or any((inner.domain, inner.op_type) in functions for inner in _all_nodes(node))
    ]


def _print(node: onnx.NodeProto) -> bytes:
    bare = onnx.NodeProto()
    bare.CopyFrom(node)
    bare.ClearField("doc_string")
    bare.ClearField("metadata_props")
    return bare.SerializeToString(deterministic=True)


def _weight(tensor: onnx.TensorProto) -> bytes:
    bare = onnx.TensorProto()
    bare.CopyFrom(tensor)
    bare.ClearField("external_data")  # where it lies changes with every file that is written
    return bare.SerializeToString(deterministic=True)
