"""Making a failing model small: delta debugging over nodes, then over everything that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper

from fuzz.engine import CannotRun, Feeds, feeds_for, run_all
from fuzz.generate import Draft, alive
from fuzz.names import captured
from fuzz.trial import Failure, try_draft

Test = Callable[[onnx.ModelProto], bool]
_TESTS = 400


def shrink(draft: Draft, failure: Failure, index: int) -> tuple[onnx.ModelProto, Failure]:
    """The smallest model found that fails in the same way, and how it does."""
    best = {"model": draft.model, "failure": failure}
    budget = [_TESTS]

    def fails(model: onnx.ModelProto) -> bool:
        if budget[0] <= 0:
            return False
        budget[0] -= 1
        values = alive(model, draft.sizes, draft.kind)
        if values is None:
            return False
        result = try_draft(Draft(model, draft.rng, draft.sizes, draft.kind, values), index)
        found = next((f for f in result.failures if f.key == failure.key), None)
        if found is None:
            return False
        best.update(model=model, failure=found)
        return True

    while any(_improve(best, step, fails, draft) for step in (_fewer_outputs, _fewer_nodes, _bypassed, _tidied)):
        pass
    return best["model"], best["failure"]  # type: ignore[return-value]


def _improve(best: dict[str, Any], step: Callable[..., Iterator[onnx.ModelProto]], fails: Test, draft: Draft) -> bool:
    """Take the first smaller model that still fails, as long as there are any."""
    improved = False
    while True:
        model = best["model"]
        try:
            values = run_all(model, feeds_for(model, draft.sizes, draft.kind))
        except CannotRun:
            return improved
        size = _size(model)
        if not any(_size(smaller) < size and fails(smaller) for smaller in step(model, values)):
            return improved
        improved = True


def _size(model: onnx.ModelProto) -> tuple[int, int]:
    nodes = sum(1 for _ in _all_nodes(model.graph)) + sum(len(f.node) for f in model.functions)
    return nodes + len(model.graph.output), len(model.SerializeToString())


def _all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _all_nodes(attribute.g)


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _fewer_outputs(model: onnx.ModelProto, values: Feeds) -> Iterator[onnx.ModelProto]:
    """One output alone, or one less."""
    count = len(model.graph.output)
    for keep in ([{i} for i in range(count)] + [set(range(count)) - {i} for i in range(count)]) if count > 1 else []:
        copy = _copy(model)
        del copy.graph.output[:]
        copy.graph.output.extend(v for i, v in enumerate(model.graph.output) if i in keep)
        yield _without_unused(copy)


def _fewer_nodes(model: onnx.ModelProto, values: Feeds) -> Iterator[onnx.ModelProto]:
    """Without half of the nodes, a quarter, ... one; what they made comes from outside."""
    count, width = len(model.graph.node), len(model.graph.node) // 2
    while width >= 1:
        for start in range(0, count, width):
            copy = _copy(model)
            gone = list(model.graph.node[start : start + width])
            del copy.graph.node[start : start + width]
            yield _without_unused(_fed(copy, {name for node in gone for name in node.output}, values))
        width //= 2


def _bypassed(model: onnx.ModelProto, values: Feeds) -> Iterator[onnx.ModelProto]:
    """One node's output replaced by one of its inputs of the same type and shape."""
    for at, node in enumerate(model.graph.node):
        for source in node.input:
            x, y = values.get(source), values.get(node.output[0])
            if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray)) or (x.dtype, x.shape) != (
                y.dtype,
                y.shape,
            ):
                continue
            copy = _copy(model)
            del copy.graph.node[at]
            for user in copy.graph.node:
                user.input[:] = [source if name == node.output[0] else name for name in user.input]
            yield _without_unused(copy)


def _tidied(model: onnx.ModelProto, values: Feeds) -> Iterator[onnx.ModelProto]:
    """Without what only describes: declared types of inner values, names of nodes."""
    copy = _copy(model)
    del copy.graph.value_info[:]
    for node in copy.graph.node:
        node.name = ""
    yield _without_unused(copy)


def _fed(model: onnx.ModelProto, missing: set[str], values: Feeds) -> onnx.ModelProto:
    """Values that nothing makes any more become inputs, or cease to be outputs where nothing reads them."""
    read = {name for node in model.graph.node for name in captured(node)}
    kept = [v for v in model.graph.output if v.name not in missing]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    for name in sorted(missing & read):
        value = values.get(name)
        if isinstance(value, np.ndarray):
            element = onnx.TensorProto.STRING if value.dtype == object else helper.np_dtype_to_tensor_dtype(value.dtype)
            model.graph.input.append(helper.make_tensor_value_info(name, element, list(value.shape)))
    return model


def _without_unused(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop nodes whose outputs nothing reads, and inputs and initializers likewise."""
    needed = {v.name for v in model.graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            needed.update(captured(node))
            kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(reversed(kept))
    for field in (model.graph.input, model.graph.initializer):
        used = [v for v in field if v.name in needed]
        del field[:]
        field.extend(used)
    called = {node.op_type for node in _all_nodes(model.graph)}
    called |= {node.op_type for f in model.functions for node in f.node}
    functions = [f for f in model.functions if f.name in called]
    del model.functions[:]
    model.functions.extend(functions)
    return model
