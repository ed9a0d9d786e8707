"""Facts across the borders of graphs: inputs, branches, loops and calls of local functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import onnx_ir as ir

from ncgopt.dimensions import is_name
from ncgopt.facts import attributes, memory, symbols
from ncgopt.facts.marks import mark_of
from ncgopt.facts.nesting import graphs_within, nodes_within, subgraphs
from ncgopt.facts.symbols import Dim
from ncgopt.facts.training import mark_updated
from ncgopt.facts.types import UNKNOWN, Shape, ValueType

_ENFORCED = "ncgopt.enforced"
_OWNER = "ncgopt.owner"
_CALLS = "ncgopt.calls"
_BODY = "ncgopt.body"
_ROUNDS = 8

Ask = Callable[[ir.Value], ValueType]
"""How to learn the type of another value; it may lead back here for a value in another graph."""


def survey(model: ir.Model) -> None:
    """Note which node holds which subgraph, writes over its inputs or calls which function; trust the main inputs.

    The runtime enforces the declared inputs of the main graph, and of no other.
    """
    model.graph.meta[_ENFORCED] = True
    for function in model.functions.values():
        function.graph.meta[_CALLS] = []
    for outer in (model.graph, *(function.graph for function in model.functions.values())):
        for node in nodes_within(outer):
            for graph in subgraphs(node):
                graph.meta[_OWNER] = node
            mark_updated(node)
            function = model.functions.get(node.op_identifier()) if model.functions else None
            if function is not None:
                cast("list[ir.Node]", function.graph.meta[_CALLS]).append(node)
                node.meta[_BODY] = function


def inputs_are_enforced(graph: ir.Graph) -> bool:
    """Whether `graph` is a main graph, whose declared inputs the runtime checks."""
    return bool(mark_of(graph, _ENFORCED))


def is_structured(node: ir.Node) -> bool:
    """Whether facts about the node's outputs come from a graph: a subgraph or a function's body."""
    return mark_of(node, _BODY) is not None or bool(subgraphs(node))


def derive_source(value: ir.Value, ask: Ask) -> None:
    """Facts about a value without a producer: initializer, or input of a graph."""
    if value.const_value is not None and not value.is_graph_input():
        memory.store_tensor(value, value.const_value)
        return
    graph = value.graph
    if graph is None or not value.is_graph_input():
        memory.store(value, UNKNOWN)
    elif inputs_are_enforced(graph):
        declared = ValueType(value.type.dtype, _dims(value)) if isinstance(value.type, ir.TensorType) else UNKNOWN
        memory.store(value, declared)
    elif graph.opset_imports:
        _derive_parameters(graph, ask)
    else:
        _derive_body_inputs(value, graph, ask)


def _dims(value: ir.Value) -> Shape | None:
    if value.shape is None:
        return None
    return tuple(_dim(d, value.name or "", axis) for axis, d in enumerate(value.shape))


def _dim(d: int | ir.SymbolicDim, name: str, axis: int) -> Dim:
    if isinstance(d, int):
        return d if d >= 0 else symbols.unnamed(name, axis)
    return symbols.declared(d.value) if d.value and is_name(d.value) else symbols.unnamed(name, axis)


def _owner(graph: ir.Graph) -> ir.Node | None:
    """The node that holds `graph`, if it still does and is itself in use."""
    node = mark_of(graph, _OWNER)
    if not isinstance(node, ir.Node) or node.graph is None:
        return None
    return node if any(held is graph for held in subgraphs(node)) else None


# Local functions: what all calls agree on.


def _derive_parameters(graph: ir.Graph, ask: Ask) -> None:
    calls = cast("list[ir.Node]", mark_of(graph, _CALLS) or [])
    # What is passed to one call may come from another, f(f(x)): then the answer needs itself, and nothing is known.
    for parameter in graph.inputs:
        memory.store(parameter, UNKNOWN)
    for index, parameter in enumerate(graph.inputs):
        given = [call.inputs[index] if index < len(call.inputs) else None for call in calls]
        types = [ask(v) if v is not None else UNKNOWN for v in given]
        found = types[0] if types else UNKNOWN
        for other in types[1:]:
            found = agreed(found, other)
        memory.store(parameter, found)


def agreed(a: ValueType, b: ValueType) -> ValueType:
    """What holds of a value that is the one or the other."""
    dims: Shape | None = None
    if a.shape is not None and b.shape is not None and len(a.shape) == len(b.shape):
        dims = tuple(x if x == y else None for x, y in zip(a.shape, b.shape, strict=True))
    return ValueType(a.dtype if a.dtype == b.dtype else None, dims)


# Subgraphs


def types_of_outputs(node: ir.Node, ask: Ask) -> list[ValueType]:
    """Types of the outputs of a node that holds graphs or calls a function."""
    function = mark_of(node, _BODY)
    if function is not None and isinstance(function, ir.Function):
        return _of_call(node, function, ask)
    found: list[ValueType] = []
    if node.op_type == "If" and not node.domain:
        found = _of_branches(node, ask)
    elif node.op_type == "Loop" and not node.domain:
        found = _of_loop(node, ask)
    elif node.op_type == "Scan" and not node.domain and (node.version or 1) >= 9:
        found = _of_scan(node, ask)
    return (found + [UNKNOWN] * len(node.outputs))[: len(node.outputs)]


def _of_call(node: ir.Node, function: ir.Function, ask: Ask) -> list[ValueType]:
    calls = cast("list[ir.Node]", mark_of(function.graph, _CALLS) or [])
    if not any(call is node for call in calls) or len(function.outputs) < len(node.outputs):
        return [UNKNOWN] * len(node.outputs)
    types = [ask(v) for v in function.outputs[: len(node.outputs)]]
    return types if len(calls) == 1 else [_without_vague(known) for known in types]


def _of_branches(node: ir.Node, ask: Ask) -> list[ValueType]:
    branches = [node.attributes[name].as_graph() for name in ("then_branch", "else_branch")]
    if any(len(b.outputs) != len(node.outputs) for b in branches):
        return []
    pairs = zip(branches[0].outputs, branches[1].outputs, strict=True)
    return [agreed(ask(a), ask(b)) for a, b in pairs]


def _derive_body_inputs(value: ir.Value, graph: ir.Graph, ask: Ask) -> None:
    node = _owner(graph)
    if node is not None and node.op_type == "Loop" and not node.domain:
        _settle(graph, _loop_inputs(node, graph, ask), ask)
    elif node is not None and node.op_type == "Scan" and not node.domain and (node.version or 1) >= 9:
        _settle(graph, _scan_inputs(node, graph, ask), ask)
    if memory.cached(value) is None:
        dtype = value.type.dtype if isinstance(value.type, ir.TensorType) else None
        memory.store(value, ValueType(dtype, None))


def _loop_inputs(node: ir.Node, body: ir.Graph, ask: Ask) -> list[tuple[ValueType, int | None]]:
    """Per input of the body: its type in the first round, and which of the body's outputs it is in the next."""
    found: list[tuple[ValueType, int | None]] = [
        (ValueType(ir.DataType.INT64, ()), None),
        (ValueType(ir.DataType.BOOL, ()), None),
    ]
    for index, value in enumerate(node.inputs[2:]):
        found.append((UNKNOWN if value is None else ask(value), 1 + index))
    return found[: len(body.inputs)]


def _scan_inputs(node: ir.Node, body: ir.Graph, ask: Ask) -> list[tuple[ValueType, int | None]]:
    count = attributes.int_attribute(node, "num_scan_inputs") or 0
    states = len(node.inputs) - count
    axes = attributes.ints_attribute(node, "scan_input_axes") or (0,) * count
    found: list[tuple[ValueType, int | None]] = []
    for index, value in enumerate(node.inputs):
        known = UNKNOWN if value is None else ask(value)
        if index < states:
            found.append((known, index))
        else:
            found.append((_without_axis(known, axes[index - states]), None))
    return found[: len(body.inputs)]


def _without_axis(known: ValueType, axis: int) -> ValueType:
    dims = known.shape
    if dims is None or not -len(dims) <= axis < len(dims):
        return ValueType(known.dtype, None)
    axis %= len(dims)
    return ValueType(known.dtype, dims[:axis] + dims[axis + 1 :])


def _settle(body: ir.Graph, first: Sequence[tuple[ValueType, int | None]], ask: Ask) -> None:
    """Facts that hold in every round: assume those of the first, keep what the body preserves (induction)."""
    assumed = [known for known, _ in first]
    for attempt in range(_ROUNDS):
        _reset(body)
        for value, known in zip(body.inputs, assumed, strict=False):
            memory.store(value, known)
        after: list[ValueType] = []
        for known, (_, output) in zip(assumed, first, strict=True):
            if output is None or output >= len(body.outputs):
                after.append(known)
            else:
                after.append(agreed(known, ask(body.outputs[output])))
        if after == assumed:
            return
        assumed = after if attempt < _ROUNDS - 2 else [ValueType(known.dtype, None) for known in after]
    _reset(body)
    for value in body.inputs:
        memory.store(value, UNKNOWN)


def _reset(body: ir.Graph) -> None:
    for graph in graphs_within(body):
        for value in graph.inputs:
            memory.drop(value)
    for node in nodes_within(body):
        for output in node.outputs:
            memory.drop(output)


def _of_loop(node: ir.Node, ask: Ask) -> list[ValueType]:
    body = node.attributes["body"].as_graph()
    carried = len(node.inputs) - 2
    if carried < 0 or len(body.inputs) < 2 + carried or len(body.outputs) < 1 + carried:
        return []
    found = [_leaving(ask(body.inputs[2 + k])) for k in range(carried)]
    for value in body.outputs[1 + carried :]:
        known = _leaving(ask(value))
        found.append(ValueType(known.dtype, None if known.shape is None else (None, *known.shape)))
    return found


def _of_scan(node: ir.Node, ask: Ask) -> list[ValueType]:
    body = node.attributes["body"].as_graph()
    count = attributes.int_attribute(node, "num_scan_inputs") or 0
    states = len(node.inputs) - count
    if states < 0 or len(body.inputs) < len(node.inputs) or len(body.outputs) < states:
        return []
    found = [_leaving(ask(body.inputs[k])) for k in range(states)]
    axes = attributes.ints_attribute(node, "scan_output_axes") or (0,) * (len(body.outputs) - states)
    length = _scan_length(node, states, ask)
    for value, axis in zip(body.outputs[states:], axes, strict=False):
        known = _leaving(ask(value))
        dims = known.shape
        if dims is not None and -len(dims) - 1 <= axis <= len(dims):
            axis = axis + len(dims) + 1 if axis < 0 else axis
            found.append(ValueType(known.dtype, (*dims[:axis], length, *dims[axis:])))
        else:
            found.append(ValueType(known.dtype, None))
    return found


def _scan_length(node: ir.Node, states: int, ask: Ask) -> Dim:
    axes = attributes.ints_attribute(node, "scan_input_axes") or (0,) * (len(node.inputs) - states)
    for value, axis in zip(node.inputs[states:], axes, strict=False):
        dims = ask(value).shape if value is not None else None
        if dims is not None and -len(dims) <= axis < len(dims):
            return dims[axis]
    return None


def _leaving(known: ValueType) -> ValueType:
    """What is known of a value inside a body, as far as it means anything outside: a size "of this round" does not."""
    return _without_vague(known)


def _without_vague(known: ValueType) -> ValueType:
    dims = known.shape
    return ValueType(known.dtype, None if dims is None else tuple(None if symbols.is_vague(d) else d for d in dims))
