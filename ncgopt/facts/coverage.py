"""How much of a model the facts see through, and where they lose the thread first.

What counts is every tensor that a node computes, and every input of a subgraph or local function:
what is merely read (initializers, `Constant` nodes, inputs of the model) is known anyway and would
only flatter the share.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import onnx_ir as ir

from ncgopt.facts import attributes, shapes, symbols
from ncgopt.facts.elements import elements
from ncgopt.facts.types import Shape
from ncgopt.records import record

_SMALL = 64  # elements of an integer tensor that may be a shape, axes or bounds


@record
class Lost:
    """A value about which something is unknown although that of all its node's inputs is known.

    Attributes:
        value: its name.
        what: `type` (of the elements), `shape`, or `contents` of a small integer tensor.
        operator: what computes it, as `domain::op` outside the default domain; `input` for an input
            of a subgraph or function.
        node: name of that node, empty where it has none.
        shape: what is known of the shape, `?` for unknown dimensions; None where not even the rank is.
        cause: for a shape, the small integer tensor whose contents were lost first on the way here.
    """

    value: str
    what: Literal["type", "shape", "contents"]
    operator: str
    node: str
    shape: tuple[int | str, ...] | None
    cause: str = ""


@record
class Coverage:
    """What the facts know of a model.

    Attributes:
        values: tensors that nodes compute, and inputs of subgraphs and functions.
        shapes: those of them with a shape known in full: every dimension a size, a symbol, or an
            expression over symbols.
        types: those with a known element type.
        small_integers: integer tensors of rank 0 or 1 and at most 64 elements among them.
        contents: those small integer tensors whose elements are all known, in the same sense.
        lost: where the thread is lost first, types, then shapes, then contents, each in graph order.
    """

    values: int
    shapes: int
    types: int
    small_integers: int
    contents: int
    lost: tuple[Lost, ...]


def coverage(model: ir.Model) -> Coverage:
    """Ask for every fact of every value; `facts.survey` must have been called for it."""
    values = [value for graph in _graphs(model) for value in _of_graph(graph, is_main=graph is model.graph)]
    small = [value for value in values if _is_small_integer(value)]
    lost = [*_lost_types(values), *_lost_shapes(values), *_lost_contents(small)]
    return Coverage(
        values=len(values),
        shapes=sum(_has_shape(value) for value in values),
        types=sum(_has_type(value) for value in values),
        small_integers=len(small),
        contents=sum(_has_contents(value) for value in small),
        lost=tuple(lost),
    )


def _graphs(model: ir.Model) -> Iterator[ir.Graph]:
    for graph in [model.graph, *(function.graph for function in model.functions.values())]:
        yield graph
        yield from graph.subgraphs()


def _of_graph(graph: ir.Graph, *, is_main: bool) -> Iterator[ir.Value]:
    if not is_main:
        yield from (value for value in graph.inputs if _may_be_tensor(value))
    for node in graph:
        if node.op_type != "Constant" or node.domain:
            yield from (v for v in node.outputs if v.name and _may_be_tensor(v))


def _may_be_tensor(value: ir.Value) -> bool:
    """Whether a shape could be known at all: a sequence, an optional or a map has none."""
    if value.type is not None and not isinstance(value.type, ir.TensorType):
        return False
    node, index = value.producer(), value.index()
    schema = attributes.schema_of(node) if node is not None else None
    if schema is None or index is None or not schema.outputs:
        return True
    output = schema.outputs[min(index, len(schema.outputs) - 1)]
    return any(kind.startswith("tensor(") for kind in output.types)


def _has_type(value: ir.Value) -> bool:
    return shapes.dtype(value) is not None


def _has_shape(value: ir.Value) -> bool:
    dims = shapes.shape(value)
    return dims is not None and not any(d is None or symbols.is_vague(d) for d in dims)


def _is_small_integer(value: ir.Value) -> bool:
    if not shapes.is_integer(value) or shapes.rank(value) not in (0, 1):
        return False
    size = shapes.known_size(value)
    return size is not None and size <= _SMALL


def _has_contents(value: ir.Value) -> bool:
    found = elements(value)
    return found is not None and None not in found


def _needs(value: ir.Value) -> list[ir.Value]:
    """What facts about `value` can follow from: its node's inputs, and the results of its subgraphs."""
    node = value.producer()
    if node is None:
        return []
    needed = [v for v in node.inputs if v is not None]
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH and not attribute.is_ref():
            needed += [v for v in attribute.as_graph().outputs if v is not value]
    return needed


def _lost_types(values: list[ir.Value]) -> Iterator[Lost]:
    for value in values:
        if not _has_type(value) and all(_has_type(v) or not _may_be_tensor(v) for v in _needs(value)):
            yield _lost(value, "type")


def _lost_shapes(values: list[ir.Value]) -> Iterator[Lost]:
    for value in values:
        if _has_shape(value) or not all(_has_shape(v) or not _may_be_tensor(v) for v in _needs(value)):
            continue
        opaque = [v for v in _needs(value) if _is_small_integer(v) and not _has_contents(v)]
        cause = _first_opaque(opaque[0]).name or "" if opaque else ""
        yield _lost(value, "shape", cause)


def _lost_contents(small: list[ir.Value]) -> Iterator[Lost]:
    for value in small:
        if not _has_contents(value) and not _opaque_needs(value) and all(_has_shape(v) for v in _needs(value)):
            yield _lost(value, "contents")


def _opaque_needs(value: ir.Value) -> list[ir.Value]:
    return [v for v in _needs(value) if _is_small_integer(v) and not _has_contents(v)]


def _first_opaque(value: ir.Value) -> ir.Value:
    while opaque := _opaque_needs(value):
        value = opaque[0]
    return value


def _lost(value: ir.Value, what: Literal["type", "shape", "contents"], cause: str = "") -> Lost:
    node = value.producer()
    operator = "input" if node is None else f"{node.domain}::{node.op_type}" if node.domain else node.op_type
    dims: Shape | None = shapes.shape(value)
    known = None if dims is None else tuple("?" if d is None or symbols.is_vague(d) else d for d in dims)
    return Lost(value.name or "", what, operator, (node.name or "") if node is not None else "", known, cause)
