"""Moving what a subgraph or function computes to where the node that runs it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array
from ncgopt.facts.nesting import subgraphs
from ncgopt.rewrite.placement import add_constant
from ncgopt.rewrite.removal import remove_dead, remove_node
from ncgopt.rewrite.replacement import may_take_name, replace_value
from ncgopt.rewrite.session import Session, all_graphs


class Splicer:
    """Puts bodies into the graphs around them, for all changes that one pass makes.

    Names that only one value (or node) of the whole model has are kept; others, which two branches
    may well share, are made new.
    """

    def __init__(self, model: ir.Model, session: Session) -> None:
        self._session = session
        self._values: Counter[str | None] = Counter()
        self._nodes: Counter[str | None] = Counter()
        self._fresh: set[ir.Value] = set()
        for graph in all_graphs(model):
            self._count(graph)

    def unpack(
        self, at: ir.Node, body: ir.Graph, arguments: Mapping[ir.Value, ir.Value | None] | None = None
    ) -> list[ir.Value | None]:
        """Move initializers and nodes of `body` in front of `at`; returns what its outputs are there.

        Args:
            at: a node of the graph that takes them.
            body: empty afterwards; no other node may use it.
            arguments: what stands for each input of `body`; an input left out is None.
        """
        graph = at.graph
        assert graph is not None
        given = dict(arguments or {})
        results = [given.get(v, v) for v in body.outputs]
        body.outputs.clear()
        for value, argument in given.items():
            for use in tuple(value.uses()):
                use.node.replace_input_with(use.idx, argument)
        for name, value in list(body.initializers.items()):
            del body.initializers[name]
            self._name(value)
            add_constant(graph, at, value, self._session)
        nodes = list(body)
        body.remove(nodes)
        for node in nodes:
            self._adopt(node)
        graph.insert_before(at, nodes)
        return results

    def node(
        self, at: ir.Node, op_type: str, inputs: Sequence[ir.Value | None], attributes: Sequence[ir.Attr] = ()
    ) -> ir.Value:
        """Put a standard operator in front of `at`, of the opset that `at` is of; returns its one output."""
        assert at.graph is not None
        name = self._session.fresh_name(f"{at.name or at.op_type}/{op_type}")
        made = ir.Node("", op_type, inputs, attributes, num_outputs=1, version=at.version, name=name)
        made.outputs[0].name = self._session.fresh_name(f"{name}:out")
        self._fresh.add(made.outputs[0])
        at.graph.insert_before(at, made)
        return made.outputs[0]

    def constant(self, at: ir.Node, array: Array, name: str) -> ir.Value:
        """Add a constant to the graph of `at`; `name` is a wish."""
        assert at.graph is not None
        tensor = ir.tensor(array)
        value = ir.Value(
            name=self._session.fresh_name(name), shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype),
            const_value=tensor,
        )  # fmt: skip
        add_constant(at.graph, at, value, self._session)
        return value

    def copy(self, body: ir.Graph) -> ir.Graph:
        """A copy of `body` to unpack; it reads the same values from outside."""
        copied = body.clone(allow_outer_scope_values=True)
        self._count(copied)
        return copied

    def retire(self, at: ir.Node, results: Sequence[ir.Value | None]) -> None:
        """Let `results` stand for the outputs of `at`, which goes, with all that only it needed.

        What was computed inside takes over the names that the outputs have: those are what users know.
        """
        graph = at.graph
        assert graph is not None
        for old, value in zip(at.outputs, results, strict=True):
            if value is None or not (old.uses() or old.is_graph_output()):
                continue
            if old.is_graph_output() and not may_take_name(value, graph):
                value = self.node(at, "Identity", [value])
            fresh = value in self._fresh
            if fresh and not old.is_graph_output() and old.type is None:
                old.type, old.shape = value.type, value.shape
            replace_value(graph, old, value, fresh=fresh)
            self._fresh.discard(value)
        remove_dead([*remove_node(at), *(v for v in self._fresh if not v.uses() and not v.is_graph_output())])
        self._fresh.clear()

    def _adopt(self, node: ir.Node) -> None:
        """Make names of `node` unique; those inside its subgraphs are in a scope of their own."""
        if node.name and self._nodes[node.name] > 1:
            self._nodes[node.name] -= 1
            node.name = self._session.fresh_name(node.name)
        for output in node.outputs:
            self._name(output)
            self._fresh.add(output)
        given = len(node.inputs)
        while given and node.inputs[given - 1] is None:  # a call left an input out
            given -= 1
        node.resize_inputs(given)

    def _name(self, value: ir.Value) -> None:
        if value.name and self._values[value.name] > 1:
            self._values[value.name] -= 1
            value.name = self._session.fresh_name(value.name)

    def _count(self, graph: ir.Graph) -> None:
        self._values.update(v.name for v in {*graph.inputs, *graph.initializers.values()})
        for node in graph:
            self._nodes[node.name] += 1
            self._values.update(v.name for v in node.outputs)


def has_kept(node: ir.Node) -> bool:
    """Whether `node` or anything in its subgraphs is protected."""
    if facts.is_kept(node):
        return True
    for graph in subgraphs(node):
        if any(facts.is_kept(value) for value in graph.initializers.values()) or any(has_kept(n) for n in graph):
            return True
    return False
