"""What is known of a value, derived when somebody asks."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.facts import constants
from ncgopt.facts.inference import subgraphs
from ncgopt.facts.inference.contents import (
    contents_of_constant,
    contents_of_outputs,
    may_have_contents,
    unknown_contents,
)
from ncgopt.facts.inference.operators import types_of_outputs
from ncgopt.facts.inference.view import Contents, NodeView
from ncgopt.facts.memory import Known, cached, store, store_tensor
from ncgopt.facts.types import UNKNOWN, ValueType

_MAX_STACK = 1_000_000


def known(value: ir.Value) -> Known:
    """Everything known of `value`."""
    found = cached(value)
    if found is not None:
        return found
    # Depth first without recursion: chains of thousands of nodes are common.
    stack = [value]
    while stack:
        node = stack[-1].producer()
        missing = [v for v in (node.inputs if node else ()) if v is not None and cached(v) is None]
        if missing and len(stack) < _MAX_STACK:
            stack.extend(missing)
            continue
        current = stack.pop()
        if cached(current) is None:
            _derive(current)
    return cached(value) or Known(UNKNOWN)


def type_of(value: ir.Value) -> ValueType:
    """Element type and shape of `value`."""
    return known(value).type


def _derive(value: ir.Value) -> None:
    node = value.producer()
    if node is None:
        subgraphs.derive_source(value, type_of)
    elif node.op_type == "Constant" and not node.domain:
        tensor = constants.constant_tensor(node)
        store_tensor(value, tensor)
    elif subgraphs.is_structured(node):
        _store_outputs(node, subgraphs.types_of_outputs(node, type_of))
    else:
        view = NodeView(node, type_of, contents_of, constants.constant)
        types = _declared(node, types_of_outputs(view))
        for output, found in zip(node.outputs, types, strict=True):
            store(output, found)
        contents = contents_of_outputs(view, types)
        if any(found is not None for found in contents):
            for output, found, held in zip(node.outputs, types, contents, strict=True):
                store(output, found, held)


def _store_outputs(node: ir.Node, types: Sequence[ValueType]) -> None:
    for output, found in zip(node.outputs, _declared(node, types), strict=True):
        store(output, found)


def _declared(node: ir.Node, types: Sequence[ValueType]) -> list[ValueType]:
    """A declared inner element type is a fact where nothing better is known: the runtime enforces it at load."""
    found: list[ValueType] = []
    for output, inferred in zip(node.outputs, types, strict=True):
        if inferred.dtype is None and isinstance(output.type, ir.TensorType) and output.type.dtype.value:
            inferred = ValueType(output.type.dtype, inferred.shape)
        found.append(inferred)
    return found


def contents_of(value: ir.Value) -> Contents | None:
    """The elements of a small integer or boolean tensor, each a number, an expression or None."""
    found = known(value)
    if found.contents is not None or not may_have_contents(found.type):
        return found.contents
    array = constants.constant(value)
    held = unknown_contents(found.type) if array is None else contents_of_constant(array)
    store(value, found.type, held)
    return held
