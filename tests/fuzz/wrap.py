"""Putting some neighbouring nodes of the main graph into a branch, a loop or a local function."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from fuzz.grow import Values, fresh, pick
from fuzz.names import captured, rename_graph

_DOMAIN = "fuzz"


def wrap_in_if(model: onnx.ModelProto, rng: np.random.Generator, values: Values) -> bool:
    """The nodes stand in both branches of an If, whose condition is a constant or an input."""
    start, nodes, results = _section(model, rng, values)
    if not results:
        return False
    stem = fresh(model, "if")
    condition = f"{stem}condition"
    if rng.random() < 0.4:
        value = np.array(rng.random() < 0.5)
        model.graph.initializer.append(numpy_helper.from_array(value, condition))
    else:
        model.graph.input.append(helper.make_tensor_value_info(condition, onnx.TensorProto.BOOL, []))
    branches = [_body(nodes, results, f"{stem}{side}_") for side in ("then", "else")]
    node = helper.make_node("If", [condition], results, then_branch=branches[0], else_branch=branches[1])
    _replace(model, start, len(nodes), node)
    return True


def wrap_in_loop(model: onnx.ModelProto, rng: np.random.Generator, values: Values) -> bool:
    """The nodes are the body of a Loop that carries a value of which they make one of the same type and shape."""
    start, nodes, results = _section(model, rng, values)
    if len(results) != 1 or not isinstance(values.get(results[0]), np.ndarray):
        return False
    result = values[results[0]]
    read = list(dict.fromkeys(name for node in nodes for name in captured(node)))
    made = {name for node in nodes for name in node.output}
    outside = [values.get(name) for name in read]
    carried = [
        name
        for name, value in zip(read, outside, strict=True)
        if name not in made and isinstance(value, np.ndarray) and value.dtype == result.dtype
        and value.shape == result.shape
    ]  # fmt: skip
    if not carried:
        return False
    stem = fresh(model, "loop")
    source, element = pick(rng, carried), helper.np_dtype_to_tensor_dtype(result.dtype)
    state = f"{stem}state"
    body = _body(nodes, results, f"{stem}body_", {source: state})
    body.input.extend(
        [
            helper.make_tensor_value_info(f"{stem}i", onnx.TensorProto.INT64, []),
            helper.make_tensor_value_info(f"{stem}going", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info(state, element, None),
        ]
    )
    body.node.append(helper.make_node("Identity", [f"{stem}going"], [f"{stem}goes"]))
    body.output.insert(0, helper.make_tensor_value_info(f"{stem}goes", onnx.TensorProto.BOOL, []))
    trips = numpy_helper.from_array(np.array(int(rng.integers(3)), np.int64), f"{stem}trips")
    start_it = numpy_helper.from_array(np.array(True), f"{stem}start")
    model.graph.initializer.extend([trips, start_it])
    node = helper.make_node("Loop", [trips.name, start_it.name, source], results, body=body)
    _replace(model, start, len(nodes), node)
    return True


def wrap_in_function(model: onnx.ModelProto, rng: np.random.Generator, values: Values) -> bool:
    """The nodes become a local function."""
    start, nodes, results = _section(model, rng, values)
    if not results:
        return False
    name = fresh(model, "f")
    made = {output for node in nodes for output in node.output}
    read = list(dict.fromkeys(n for node in nodes for n in captured(node) if n not in made))
    function = helper.make_function(_DOMAIN, name, read, results, nodes, list(model.opset_import))
    model.functions.append(function)
    if not any(o.domain == _DOMAIN for o in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    _replace(model, start, len(nodes), helper.make_node(name, read, results, domain=_DOMAIN))
    return True


def _section(
    model: onnx.ModelProto, rng: np.random.Generator, values: Values
) -> tuple[int, list[onnx.NodeProto], list[str]]:
    """Where some neighbouring nodes start, copies of them, and what of theirs is used elsewhere."""
    count = len(model.graph.node)
    start = int(rng.integers(count))
    stop = min(count, start + 1 + int(rng.integers(6)))
    nodes = []
    for node in model.graph.node[start:stop]:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        nodes.append(copy)
    others = [n for i, n in enumerate(model.graph.node) if not start <= i < stop]
    needed = {name for node in others for name in captured(node)} | {v.name for v in model.graph.output}
    results = [name for node in nodes for name in node.output if name in needed]
    return start, nodes, results if all(isinstance(values.get(r), np.ndarray) for r in results) else []


def _body(
    nodes: list[onnx.NodeProto], results: list[str], prefix: str, bound: dict[str, str] | None = None
) -> onnx.GraphProto:
    outputs = [onnx.ValueInfoProto(name=name) for name in results]
    body = helper.make_graph(nodes, prefix.rstrip("_"), [], outputs)
    rename_graph(body, prefix, bound or {})
    return body


def _replace(model: onnx.ModelProto, start: int, count: int, node: onnx.NodeProto) -> None:
    del model.graph.node[start : start + count]
    model.graph.node.insert(start, node)


WRAPPINGS = (wrap_in_if, wrap_in_loop, wrap_in_function)
