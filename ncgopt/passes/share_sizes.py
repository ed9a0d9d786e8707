"""Compute sizes once, the shortest way."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.elements import elements
from ncgopt.facts.nesting import graphs_within
from ncgopt.passes._sizes import Cookbook, Recipe
from ncgopt.passes.base import Pass
from ncgopt.rewrite.removal import remove_dead
from ncgopt.rewrite.replacement import replace_value
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session, where

_OPERATORS = frozenset({
    "Shape", "Size", "Gather", "Slice", "Concat", "Squeeze", "Unsqueeze", "Reshape", "Cast", "Identity",
    "Add", "Sub", "Mul", "Div", "Mod", "Min", "Max", "Neg", "Abs", "Where", "Expand", "ConstantOfShape", "Flatten",
    "ReduceProd", "ReduceSum", "ReduceMax", "ReduceMin", "Split", "Transpose", "Floor", "Ceil", "ScatterND", "Range",
})  # fmt: skip
_DTYPES = (ir.DataType.INT64, ir.DataType.INT32)


@dataclass(frozen=True)
class ShareSizes(Pass):
    """Compute each vector of sizes once, from the shape of an input where possible.

    Exporters read the same batch and sequence length out of every intermediate tensor and put
    targets of Expand, ends of Slice and limits of Range together element by element. Here everything that
    provably holds the same sizes becomes one value: a constant, the Shape of something (or part of
    it), or a Concat of those; and nothing is done unless nodes get fewer. As a benefit, tensors that
    only their shapes kept alive or made visible can be fused.
    """

    name = "share-sizes"
    claim = Claim.EXACT

    def run(self, model: ir.Model, session: Session) -> int:
        """Rewrite the main graph and its subgraphs, each by itself."""
        facts.forget()
        opset = model.graph.opset_imports.get("", 1)
        return sum(_Graph(graph, opset).rewrite(session) for graph in graphs_within(model.graph))


@dataclass(frozen=True)
class _Sizes:
    """What a value holds."""

    sizes: facts.Shape
    dtype: ir.DataType
    scalar: bool


class _Graph:
    """The sizes computed in one graph, and what shall compute them."""

    def __init__(self, graph: ir.Graph, opset: int) -> None:
        self._graph, self._opset = graph, opset
        self._order = {node: place for place, node in enumerate(graph)}
        self._known = {node: found for node in graph if (found := _sizes(node)) is not None}

    def rewrite(self, session: Session) -> int:
        """Replace sizes by their recipes if that takes fewer nodes; returns the number of values replaced."""
        if not self._known:
            return 0
        plan, kept = self._plan()
        after = {step for recipe in plan.values() for step in recipe.steps()}
        if len(after) + len(kept) >= len(self._known):
            return 0
        made = self._existing(after)
        count, replaced = 0, list[ir.Value]()
        for value, recipe in plan.items():
            node = value.producer()
            if made.get(recipe) is value or node is None or not session.spend(ShareSizes.name, where(node)):
                continue
            replace_value(self._graph, value, self._make(recipe, node, made, session), fresh=False)
            replaced.append(value)
            count += 1
        remove_dead(replaced)
        return count

    def _plan(self) -> tuple[dict[ir.Value, Recipe], set[ir.Node]]:
        """A recipe for each value that something else needs, in order, and the nodes that must stay."""
        book = self._cookbook()
        plan: dict[ir.Value, Recipe] = {}
        kept: set[ir.Node] = set()
        needed = [node for node in self._known if self._is_needed(node, kept)]
        while needed:
            staying: set[ir.Node] = set()
            for node in needed:
                found, value = self._known[node], node.outputs[0]
                recipe = None
                if not value.is_graph_output() and not facts.is_kept(node):
                    recipe = book.recipe(found.sizes, found.dtype, self._order[node], scalar=found.scalar)
                if recipe is None:
                    staying.add(node)
                else:
                    plan[value] = recipe
            kept |= staying
            inputs = {v.producer() for node in staying for v in node.inputs if v is not None}
            needed = [n for n in self._known if n in inputs and n not in kept and n.outputs[0] not in plan]
        return dict(sorted(plan.items(), key=lambda item: self._place(item[0]))), kept

    def _place(self, value: ir.Value) -> int:
        node = value.producer()
        return -1 if node is None else self._order.get(node, -1)

    def _is_needed(self, node: ir.Node, kept: set[ir.Node]) -> bool:
        value = node.outputs[0]
        return value.is_graph_output() or any(use.node not in self._known or use.node in kept for use in value.uses())

    def _cookbook(self) -> Cookbook:
        """Sources in order of preference: inputs, then what several nodes use (it can be fused with none of them)."""
        book = Cookbook(self._opset)
        for value in self._graph.inputs:
            book.add_source(value, -1)
        inner = [(v, place) for node, place in self._order.items() if node not in self._known for v in node.outputs]
        users = {v: sum(use.node not in self._known for use in v.uses()) for v, _ in inner}
        for value, place in sorted(inner, key=lambda pair: (users[pair[0]] < 2, pair[1])):
            if users[value] or value.is_graph_output():
                book.add_source(value, place)
        return book

    def _existing(self, wanted: set[Recipe]) -> dict[Recipe, ir.Value]:
        """The wanted recipes that a node of the graph makes already."""
        recipes: dict[ir.Value, Recipe] = {}
        made: dict[Recipe, ir.Value] = {}
        for node, found in self._known.items():
            recipe = _as_recipe(node, found, recipes)
            if recipe is not None:
                recipes[node.outputs[0]] = recipe
                if recipe in wanted and recipe not in made:
                    made[recipe] = node.outputs[0]
        return made

    def _make(self, recipe: Recipe, before: ir.Node, made: dict[Recipe, ir.Value], session: Session) -> ir.Value:
        found = made.get(recipe)
        if found is not None and self._stands_before(found, before):
            return found
        if not recipe.operator:
            value = self._constant(recipe, session)
        else:
            inputs = [v if isinstance(v, ir.Value) else self._make(v, before, made, session) for v in recipe.inputs]
            if recipe.operator == "Gather":
                indices = Recipe("", numbers=recipe.numbers, scalar=recipe.scalar)
                inputs.append(self._make(indices, before, made, session))
            name = session.fresh_name(f"sizes/{recipe.operator}")
            attributes = [ir.AttrInt64(key, number) for key, number in recipe.attributes]
            node = ir.Node("", recipe.operator, inputs, attributes, version=self._opset, name=name)
            value = node.outputs[0]
            value.name = session.fresh_name(f"{name}:out")
            self._graph.insert_before(before, node)
            self._order[node] = self._order[before]
        made[recipe] = value
        return value

    def _stands_before(self, value: ir.Value, node: ir.Node) -> bool:
        return self._place(value) <= self._order[node]

    def _constant(self, recipe: Recipe, session: Session) -> ir.Value:
        tensor = ir.tensor(recipe.array().astype(recipe.dtype.numpy()), name=session.fresh_name("sizes"))
        shape, dtype = ir.Shape(() if recipe.scalar else (len(recipe.numbers),)), ir.TensorType(recipe.dtype)
        value = ir.Value(name=tensor.name, shape=shape, type=dtype, const_value=tensor)
        self._graph.register_initializer(value)
        return value


def _sizes(node: ir.Node) -> _Sizes | None:
    """What `node` computes, if that is sizes and nothing else."""
    if node.domain or node.op_type not in _OPERATORS or len(node.outputs) != 1:
        return None
    value = node.outputs[0]
    dtype, rank = facts.dtype(value), facts.rank(value)
    if dtype is None or dtype not in _DTYPES or rank not in (0, 1):
        return None
    sizes = elements(value)
    if not sizes or None in sizes:
        return None
    return _Sizes(sizes, dtype, rank == 0)


def _as_recipe(node: ir.Node, found: _Sizes, recipes: dict[ir.Value, Recipe]) -> Recipe | None:
    """The recipe that would make `node`, if there is one."""
    parts = [recipes.get(v) if v is not None else None for v in node.inputs]
    if node.op_type == "Shape" and node.inputs[0] is not None:
        names = ("start", "end") if any(facts.is_set(node, name) for name in ("start", "end")) else ()
        bounds = [(name, facts.int_attribute(node, name)) for name in names]
        attributes = tuple((name, number) for name, number in bounds if number is not None)
        return Recipe("Shape", (node.inputs[0],), attributes=attributes) if len(attributes) == len(names) else None
    if node.op_type == "Gather" and parts[0] is not None:
        indices = facts.constant(node.inputs[1])
        if indices is None or indices.ndim > 1:
            return None
        numbers = tuple(int(n) for n in indices.reshape(-1))
        return Recipe("Gather", (parts[0],), numbers, indices.ndim == 0, attributes=(("axis", 0),))
    if node.op_type == "Cast" and parts[0] is not None:
        return Recipe("Cast", (parts[0],), dtype=found.dtype, attributes=(("to", int(found.dtype)),))
    if node.op_type == "Concat":
        whole = tuple(
            p for p in (p or _as_constant(v) for p, v in zip(parts, node.inputs, strict=True)) if p is not None
        )
        return Recipe("Concat", whole, attributes=(("axis", 0),)) if len(whole) == len(parts) else None
    return None


def _as_constant(value: ir.Value | None) -> Recipe | None:
    array = facts.constant(value)
    if array is None or array.ndim != 1 or array.dtype.kind != "i":
        return None
    return Recipe("", numbers=tuple(int(n) for n in array))
