"""Parts of a model, as models of their own, to be explored by themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts import symbols

MAX_NODES = 30


def around(seed: ir.Node) -> set[ir.Node]:
    """The nodes of the same graph that are nearest to `seed`, itself included, up to `MAX_NODES`."""
    found: dict[ir.Node, None] = {seed: None}
    edge = [seed]
    while edge and len(found) < MAX_NODES:
        following: list[ir.Node] = []
        for node in edge:
            for other in _neighbours(node):
                if other not in found and len(found) < MAX_NODES and other.graph is seed.graph and fits(other):
                    found[other] = None
                    following.append(other)
        edge = following
    return set(found)


def extract(chosen: Collection[ir.Node], model: ir.Model) -> ir.Model | None:
    """A model of these nodes of the main graph, under the same names, constants shared; None where that cannot be.

    What other nodes read of theirs is an output. Inputs are declared with the shapes that are known of them, so
    that rules see in the part what they would see in the whole, or less.
    """
    nodes = [node for node in model.graph if node in chosen]
    values: dict[ir.Value, ir.Value] = {}
    inputs: list[ir.Value] = []
    constants: list[ir.Value] = []
    made: list[ir.Node] = []
    for node in nodes:
        for value in node.inputs:
            if value is None or value in values:
                continue
            if value.is_initializer() and facts.is_constant(value):
                copy = ir.Value(name=value.name, type=value.type, shape=value.shape, const_value=value.const_value)
                constants.append(copy)
            else:
                copy = _input(value)
                if copy is None:
                    return None
                inputs.append(copy)
            values[value] = copy
        outputs = [ir.Value(name=value.name) for value in node.outputs]
        values.update(zip(node.outputs, outputs, strict=True))
        made.append(
            ir.Node(
                node.domain, node.op_type, [None if v is None else values[v] for v in node.inputs],
                list(node.attributes.values()), outputs=outputs, name=node.name, version=node.version,
            )
        )  # fmt: skip
    outer = [v for node in nodes for v in node.outputs if v.is_graph_output() or any(_outside(v, chosen))]
    graph = ir.Graph(
        inputs, [values[v] for v in outer], nodes=made, initializers=constants, name="window",
        opset_imports=dict(model.graph.opset_imports),
    )  # fmt: skip
    return ir.Model(graph, ir_version=model.ir_version)


def bindings_of(window: ir.Model, nodes: Collection[ir.Node], sizes: Mapping[str, int]) -> dict[str, int] | None:
    """Sizes of the window's symbols where those of the whole model are `sizes`; None where one is not known."""
    names = {value.name for value in window.graph.inputs}
    found: dict[str, int] = {}
    for value in {v for node in nodes for v in node.inputs if v is not None and v.name in names}:
        for dim in facts.shape(value) or ():
            if isinstance(dim, str):
                size = symbols.evaluate(dim, dict(sizes))
                if size is None:
                    return None
                found[dim] = size
    return found


def _input(value: ir.Value) -> ir.Value | None:
    kind, dims = facts.dtype(value), facts.shape(value)
    if kind is None or dims is None:
        return None
    shape = ir.Shape([dim if isinstance(dim, int) else ir.SymbolicDim(dim or "") for dim in dims])
    return ir.Value(name=value.name, type=ir.TensorType(kind), shape=shape)


def _outside(value: ir.Value, nodes: Collection[ir.Node]) -> Iterator[bool]:
    return (use.node not in nodes for use in value.uses())


def _neighbours(node: ir.Node) -> Iterator[ir.Node]:
    for value in node.inputs:
        producer = value.producer() if value is not None else None
        if producer is not None:
            yield producer
    for value in node.outputs:
        for use in value.uses():
            yield use.node


def fits(node: ir.Node) -> bool:
    """Whether a node may be in a window: without subgraphs, not protected, and no constant."""
    return (
        not facts.is_kept(node)
        and node.op_type != "Constant"
        and all(a.type not in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for a in node.attributes.values())
    )
