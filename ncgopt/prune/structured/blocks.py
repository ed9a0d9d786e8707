"""Whole residual blocks: `y = x + f(x)` becomes `y = x`, and `f` is gone.

Networks with residual connections are little more than a sum of small corrections, of which some hardly matter (Veit et
al., "Residual Networks Behave Like Ensembles of Relatively Shallow Networks", 2016; Men et al., "ShortGPT", 2024, for
transformers).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.nesting import nodes_within, subgraphs
from ncgopt.prune.layers import find_layers
from ncgopt.prune.settings import PruneSettings


@dataclass(frozen=True)
class Block:
    """A residual block.

    Attributes:
        name: of the Add that ends it; `optimize` makes a Gemm of it where a matrix product is what is added.
        add: that node.
        skip: what remains of it, `x`.
        weights: elements of the weights that go with it.
    """

    name: str
    add: ir.Node
    skip: ir.Value
    weights: int


def find_blocks(model: ir.Model, settings: PruneSettings) -> tuple[list[Block], list[str]]:
    """The blocks of the main graph in its order, and Adds that look like one but have to stay: `name: why`.

    A block ends with a sum of two values of the shape of their sum, of which one is computed from the other, by layers
    with weights that serve nothing else.
    """
    layers = find_layers(model)
    sizes = {use.node: layer.size for layer in layers for use in layer.uses}
    kept = {use.node for layer in layers for use in layer.uses if settings.is_kept(use.node.name, layer.weight.name)}
    found: list[Block] = []
    left: list[str] = []
    for node in model.graph:
        skip = _skip(node)
        if skip is None:
            continue
        name = node.name or node.outputs[0].name or "Add"
        inside = _only_for(node, skip)
        weights = sum(size for one, size in sizes.items() if one in inside)
        if not weights:
            continue
        if node.outputs[0].is_graph_output():
            left.append(f"{name}: ends with an output of the model")
        elif settings.is_kept(name, *(one.name for one in inside)) or kept & inside:
            left.append(f"{name}: part of it is kept")
        else:
            found.append(Block(name, node, skip, weights))
    return found, left


def _skip(node: ir.Node) -> ir.Value | None:
    """What an Add, or a Gemm, adds something to that is computed from it."""
    if node.domain not in ("", "ai.onnx") or node.op_type not in ("Add", "Gemm"):
        return None
    a, b = facts.input_of(node, 0), facts.input_of(node, 1)
    ways = ((a, b), (b, a))
    if node.op_type == "Gemm":
        ways = ((facts.input_of(node, 2), a),) if facts.float_attribute(node, "beta") == 1 else ()
    for x, branch in ways:
        if x is None or branch is None or x is branch or not facts.same_shape(x, node.outputs[0]):
            continue
        if (node.op_type == "Gemm" or facts.same_shape(branch, x)) and x in _ancestors(branch):
            return x
    return None


def _ancestors(value: ir.Value) -> set[ir.Value]:
    seen: set[ir.Value] = set()
    waiting = [value]
    while waiting:
        producer = waiting.pop().producer()
        for one in _read(producer) if producer is not None else ():
            if one not in seen:
                seen.add(one)
                waiting.append(one)
    return seen


def _read(node: ir.Node) -> list[ir.Value]:
    inner = [one for graph in subgraphs(node) for one in nodes_within(graph)]
    return [value for one in (node, *inner) for value in one.inputs if value is not None]


def _only_for(add: ir.Node, skip: ir.Value) -> set[ir.Node]:
    """Nodes that nobody needs once the Add gives what it is added to."""
    gone: set[ir.Node] = {add}
    waiting = [value.producer() for value in add.inputs if value is not None and value is not skip]
    while waiting:
        node = waiting.pop()
        if node is None or node in gone or node is skip.producer() or node.graph is not add.graph:
            continue
        users = [use.node for value in node.outputs for use in value.uses()]
        if any(value.is_graph_output() for value in node.outputs) or not gone.issuperset(users):
            continue
        gone.add(node)
        waiting += [value.producer() for value in _read(node)]
    return gone


def remove(model: ir.Model, names: Collection[str], settings: PruneSettings) -> None:
    """Let these blocks give what they were given, in place. Values keep their names, so that runs can be compared."""
    stands_for: dict[ir.Value, ir.Value] = {}
    for block in find_blocks(model, settings)[0]:
        if block.name in names:
            node = block.add
            skip = stands_for.get(block.skip, block.skip)  # the block before may have gone a moment ago
            through = ir.Node("", "Identity", [skip], name=node.name, num_outputs=1)
            model.graph.insert_before(node, through)
            old = node.outputs[0]
            new = stands_for[old] = through.outputs[0]
            name, kind, shape = old.name, old.type, old.shape
            old.replace_all_uses_with(new)
            model.graph.remove(node, safe=True)
            old.name, new.name, new.type, new.shape = None, name, kind, shape
