"""Executing a model on symbols."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator
from reference import CONTRIB, CORRECTED
from semantics import CannotRun, run_ort

from proofs.terms import Arena, Tensor, inputs_of, numpy_type

Value = Tensor | list | None  # a list is a sequence of tensors
Handler = Callable[["Executor", onnx.NodeProto, dict, list], "Value | tuple[Value, ...]"]

HANDLERS: dict[str, Handler] = {}
"""What an operator computes, by name; `operators`, `contractions` and `definitions` fill it."""

# Operators that only move elements, with the inputs whose elements they move; the others say where to.
# The reference implementation moves labels, and what it put where the elements follow.
MOVES: Mapping[str, Sequence[int] | None] = {
    "CenterCropPad": (0,), "Compress": (0,), "Concat": None, "DepthToSpace": (0,), "Expand": (0,), "Flatten": (0,),
    "Gather": (0,), "GatherElements": (0,), "GatherND": (0,), "OneHot": (2,), "Pad": (0, 2), "Reshape": (0,),
    "Resize": (0,), "ScatterElements": (0, 2), "ScatterND": (0, 2), "Slice": (0,), "SpaceToDepth": (0,), "Split": (0,),
    "SplitToSequence": (0,), "Squeeze": (0,), "Tile": (0,), "Transpose": (0,), "Trilu": (0,), "Unsqueeze": (0,), "Upsample": (0,),
}  # fmt: skip
_ROUNDS = 16
_MAKERS = ("ConstantOfShape", "NonZero", "Range")  # what they make depends on all that goes in
_MEASURES = ("Shape", "Size")
_REFERENCE_ERRORS = (
    RuntimeError, NotImplementedError, TypeError, ValueError, IndexError, KeyError, AttributeError, ZeroDivisionError,
    AssertionError,
)  # fmt: skip


class CannotExecute(Exception):
    """Data that the model does not take."""


class NoMeaning(CannotExecute):
    """An operator, or a form of one, that has no meaning here: whatever the data, there is no proof."""


class NeedsNumbers(Exception):
    """The elements of `inputs` decide shapes, positions or branches: they must be numbers."""

    def __init__(self, inputs: set[str]) -> None:
        super().__init__(", ".join(sorted(inputs)))
        self.inputs = inputs


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Register a handler for the operators `names`."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(names, handler))
        return handler

    return register


class Executor:
    """Runs one model; both sides of a rewrite share an arena, so that equal terms are one."""

    def __init__(self, model: onnx.ModelProto, arena: Arena) -> None:
        self.arena = arena
        self._model = model
        self._functions = {(f.domain, f.name): f for f in model.functions}
        self.opsets = {o.domain: o.version for o in model.opset_import}

    def run(self, feeds: Mapping[str, Tensor]) -> list[Value]:
        """The outputs. `feeds` holds every input without a default."""
        scope: dict[str, Value] = dict(feeds)
        return self._graph(self._model.graph, scope)

    def call(self, op: str, *inputs: Value, domain: str = "", outputs: int = 1, **attributes: object):
        """One operator on tensors: the way in which definitions are written."""
        names = [f"i{k}" if value is not None else "" for k, value in enumerate(inputs)]
        node = onnx.helper.make_node(op, names, [f"o{k}" for k in range(outputs)], domain=domain, **attributes)
        found = self.node(node, list(inputs))
        return found[0] if outputs == 1 else found

    def constant(self, value: object, elem: int) -> Tensor:
        """A constant for use in a definition."""
        return Tensor(elem, np.asarray(value, numpy_type(elem)))

    def numbers(self, value: Value) -> np.ndarray:
        """The elements of a tensor that must be known."""
        if not isinstance(value, Tensor):
            raise CannotExecute("a tensor is wanted")
        if not value.concrete:
            raise NeedsNumbers(inputs_of(list(value.data.flat)))
        return value.data

    def _graph(self, graph: onnx.GraphProto, scope: dict[str, Value]) -> list[Value]:
        for tensor in graph.initializer:
            scope.setdefault(tensor.name, Tensor(tensor.data_type, onnx.numpy_helper.to_array(tensor)))
        self._nodes(graph.node, scope)
        return [scope[o.name] for o in graph.output]

    def _nodes(self, nodes: Sequence[onnx.NodeProto], scope: dict[str, Value]) -> None:
        for node in nodes:
            inputs = [scope[name] if name else None for name in node.input]
            if node.op_type == "If" and node.domain == "":
                branches = {a.name: a.g for a in node.attribute}
                taken = "then_branch" if bool(self.numbers(inputs[0]).reshape(())) else "else_branch"
                outputs = self._graph(branches[taken], dict(scope))
            elif node.op_type == "Loop" and node.domain == "":
                outputs = self._loop(node, inputs, scope)
            elif (node.domain, node.op_type) in self._functions:
                outputs = self.function(self._functions[node.domain, node.op_type], inputs, node)
            else:
                outputs = self.node(node, inputs)
            scope.update({name: value for name, value in zip(node.output, outputs, strict=False) if name})

    def _loop(self, node: onnx.NodeProto, inputs: list[Value], scope: dict[str, Value]) -> list[Value]:
        """Round after round, where it is known how many there are."""
        body = node.attribute[0].g
        rounds, condition, *states = inputs
        most = _ROUNDS if rounds is None else int(self.numbers(rounds).reshape(()))
        go = condition is None or bool(self.numbers(condition).reshape(()))
        kept: list[list[Value]] = []
        for index in range(min(most, _ROUNDS)):
            if not go:
                break
            first = [Tensor(TensorProto.INT64, np.asarray(index)), Tensor(TensorProto.BOOL, np.asarray(True))]
            fed = dict(zip([i.name for i in body.input], [*first, *states], strict=True))
            going, *results = self._graph(body, {**scope, **fed})
            go = bool(self.numbers(going).reshape(()))
            states, rest = results[: len(states)], results[len(states) :]
            kept.append(rest)
        if (go and most > _ROUNDS) or (not kept and len(node.output) > len(states)):
            raise NoMeaning("a Loop of many rounds, or of none with something to keep")
        stacked = [
            self.call("Concat", *(Tensor(part.elem, part.data[np.newaxis]) for part in parts), axis=0)
            for parts in zip(*kept, strict=True)
        ]
        return [*states, *stacked]

    def function(self, function: onnx.FunctionProto, inputs: list[Value], node: onnx.NodeProto) -> list[Value]:
        """The body of a function, of the model or of the standard."""
        padded = [*inputs, *[None] * (len(function.input) - len(inputs))]
        scope: dict[str, Value] = dict(zip(function.input, padded, strict=True))
        given = {a.name: a for a in [*function.attribute_proto, *node.attribute]}
        outside, self.opsets = self.opsets, {**self.opsets, **{o.domain: o.version for o in function.opset_import}}
        try:
            self._nodes([_bound(inner, given) for inner in function.node], scope)
        finally:
            self.opsets = outside
        return [scope.get(name) for name in function.output]

    def node(self, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
        """The outputs of one operator."""
        if node.op_type in _MAKERS and node.domain == "":
            for value in inputs:
                self.numbers(value)
        if node.op_type in _MEASURES:
            inputs = [Tensor(TensorProto.INT64, np.zeros(inputs[0].data.shape, np.int64))]
        if all(value is None or (isinstance(value, Tensor) and value.concrete) for value in inputs):
            return self._known(node, inputs)
        if node.op_type in HANDLERS:
            try:
                found = HANDLERS[node.op_type](self, node, self.attributes(node), inputs)
            except (
                ValueError,
                IndexError,
                KeyError,
                AttributeError,
            ) as error:  # a form of the operator that does not fit
                raise CannotExecute(f"{node.op_type}: {error!r}") from error
            return list(found) if isinstance(found, tuple) else [found]
        if node.op_type in MOVES and node.domain == "":
            return self.moved(node, inputs, MOVES[node.op_type])
        return self._defined(node, inputs)

    def attributes(self, node: onnx.NodeProto) -> dict:
        """The attributes, the defaults of the opset included."""
        found = {a.name: onnx.helper.get_attribute_value(a) for a in self.defaults(node)}
        found.update({a.name: onnx.helper.get_attribute_value(a) for a in node.attribute if not a.ref_attr_name})
        return {k: v.decode() if isinstance(v, bytes) else v for k, v in found.items()}

    def defaults(self, node: onnx.NodeProto) -> list[onnx.AttributeProto]:
        """What the schema says of attributes that are not given."""
        schema = self.schema(node)
        return [] if schema is None else [a.default_value for a in schema.attributes.values() if a.default_value.name]

    def schema(self, node: onnx.NodeProto) -> onnx.defs.OpSchema | None:
        """The operator's schema at the model's opset; None for operators that are not of the standard."""
        try:
            return onnx.defs.get_schema(node.op_type, self.opsets.get(node.domain, 1), node.domain)
        except onnx.defs.SchemaError:
            return None

    def _known(self, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
        data = [None if value is None else value.data for value in inputs]
        found = self.reference(node, data)
        return [_tensor(array) for array in found]

    def moved(self, node: onnx.NodeProto, inputs: list[Value], which: Sequence[int] | None) -> list[Value]:
        """Label every element, let the reference implementation move the labels, and look what lies where."""
        which = range(len(inputs)) if which is None else which
        moved = [k for k in which if k < len(inputs) and inputs[k] is not None]
        elem = next(inputs[k].elem for k in moved if not inputs[k].concrete or k == moved[-1])
        elements = [self.arena.constant(0, elem)]  # label 0: what Pad and others fill with where nothing is said
        data: list[np.ndarray | None] = []
        for k, value in enumerate(inputs):
            if k in moved:
                labels = np.arange(len(elements), len(elements) + value.data.size).reshape(value.data.shape)
                elements += list(value.terms(self.arena).flat)
                data.append(labels)
            else:
                data.append(None if value is None else self.numbers(value))
        table = np.empty(len(elements), object)
        table[:] = elements
        found = []
        for labels in self._placed_labels(node, data, moved):
            parts = labels if isinstance(labels, list) else [labels]
            tensors = [Tensor(elem, _placed(table, np.asarray(part))) for part in parts]
            found.append(tensors if isinstance(labels, list) else tensors[0])
        return found

    def _placed_labels(self, node: onnx.NodeProto, data: list, moved: list[int]) -> list:
        try:
            return self.reference(node, data)
        except CannotExecute:  # not every kernel takes integers
            return self.reference(node, [x.astype(np.float32) if k in moved else x for k, x in enumerate(data)])

    def _defined(self, node: onnx.NodeProto, inputs: list[Value]) -> list[Value]:
        """By the function that the standard gives for the operator."""
        schema = self.schema(node)
        if schema is not None and schema.has_context_dependent_function:
            types = [_type(value).SerializeToString() for value in inputs]
            version = max(v for v in schema.context_dependent_function_opset_versions if v <= self.opsets[node.domain])
            body = schema.get_context_dependent_function_with_opset_version(version, node.SerializeToString(), types)
            function = onnx.FunctionProto.FromString(body)
        elif schema is not None and schema.has_function:
            function = schema.function_body
        else:
            raise NoMeaning(f"{node.op_type} has no meaning here")
        named = onnx.NodeProto()
        named.CopyFrom(node)
        given = {a.name for a in node.attribute}
        named.attribute.extend(a for a in self.defaults(node) if a.name not in given)
        return self.function(function, inputs, named)

    def reference(self, node: onnx.NodeProto, data: Sequence[np.ndarray | None]) -> list:
        """The reference implementation of one operator on numbers; where it knows no such opset, ONNX Runtime's."""
        bare = onnx.NodeProto()
        bare.CopyFrom(node)
        names = [f"i{k}" if value is not None else "" for k, value in enumerate(data)]
        bare.input[:] = names
        bare.output[:] = [f"o{k}" for k in range(len(node.output))]
        info = onnx.helper.make_tensor_value_info
        graph = onnx.helper.make_graph(
            [bare], "g",
            [info(name, onnx.helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype), np.shape(value))
             for name, value in zip(names, data, strict=True) if value is not None],
            [onnx.ValueInfoProto(name=name) for name in bare.output],
        )  # fmt: skip
        opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in self.opsets.items()]
        model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
        feeds = {name: np.asarray(value) for name, value in zip(names, data, strict=True) if value is not None}
        try:
            with np.errstate(all="ignore"):
                return ReferenceEvaluator(model, new_ops=[*CONTRIB, *CORRECTED]).run(None, feeds)
        except _REFERENCE_ERRORS as error:
            try:
                return run_ort(model, feeds)
            except CannotRun as second:
                raise CannotExecute(f"{node.op_type}: {error}; {second}") from error


def _placed(table: np.ndarray, labels: np.ndarray) -> np.ndarray:
    placed = np.empty(labels.shape, object)
    placed[...] = table[labels.astype(np.int64)]
    return placed


def _tensor(found: object) -> Value:
    if isinstance(found, list):
        return [_tensor(part) for part in found]
    array = np.asarray(found)
    return Tensor(onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array)


def _type(value: Value) -> onnx.TypeProto:
    if value is None:
        return onnx.TypeProto()
    return onnx.helper.make_tensor_type_proto(value.elem, value.data.shape)


def _bound(node: onnx.NodeProto, given: Mapping[str, onnx.AttributeProto]) -> onnx.NodeProto:
    """The node with references to attributes of its function replaced by what they are there."""
    bound = onnx.NodeProto()
    bound.CopyFrom(node)
    del bound.attribute[:]
    for attribute in node.attribute:
        if not attribute.ref_attr_name:
            bound.attribute.append(attribute)
        elif attribute.ref_attr_name in given:
            copy = onnx.AttributeProto()
            copy.CopyFrom(given[attribute.ref_attr_name])
            copy.name = attribute.name
            bound.attribute.append(copy)
    return bound
