"""Compute now what is the same on every run."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array
from ncgopt.facts.folding import foldable_nodes
from ncgopt.facts.marks import take_notes
from ncgopt.facts.nesting import graphs_within
from ncgopt.passes._growth import freed_bytes, stored_bytes
from ncgopt.passes._moves import moved
from ncgopt.passes._regions import Region, bytes_of, closed, components, leading_to
from ncgopt.passes.base import Pass
from ncgopt.rewrite.removal import remove_dead, remove_node
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session, all_graphs, where
from ncgopt.runtime import WorkerDied
from ncgopt.runtime.evaluate import CannotEvaluate

_SMALL = 1 << 23
"""Bytes of a result that is made on the way to a smaller one, in this process."""


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Compute now what is the same on every run, where the file does not grow by it.

    Connected nodes with constant inputs are evaluated together by ONNX Runtime, in the child
    process, optimizations off, so that the result is what the runtime would have computed (onnx's
    reference implementation stands in where ORT has no kernel). What is stored is only what the
    rest of the graph uses; a region that would enlarge the file is cut back from its outputs until
    it does not. Random operators and quantization stay. A node that takes the child process down, or
    does not come to its end, is left out, and the report names it.
    """

    name = "fold-constants"
    claim = Claim.EXACT

    max_growth: int = field(
        default=0, metadata={"help": "bytes by which folding may enlarge the file, net of what it frees"}
    )
    max_elements: int = field(
        default=1 << 26, metadata={"help": "largest tensor, in elements, that is computed on the way"}
    )

    def run(self, model: ir.Model, session: Session) -> int:
        """Repeat until nothing folds: what became constant tells the size of more."""
        count = 0
        refused: set[ir.Node] = set()
        while not session.exhausted:
            facts.forget()
            folded = sum(self._graph(model, graph, session, refused) for graph in all_graphs(model))
            if not folded:
                break
            count += folded
        return count

    def _graph(self, model: ir.Model, graph: ir.Graph, session: Session, refused: set[ir.Node]) -> int:
        count = 0
        foldable = foldable_nodes(graph, max_elements=self.max_elements)
        nodes = closed([n for n in foldable if n not in refused and not session.avoided.covers(self.name, where(n))])
        regions = components(nodes)
        # What is larger than all that folding could free is never stored: not even its contents are fetched.
        affordable = freed_bytes(set(nodes)) + self.max_growth
        values = _evaluate(model, graph, regions, session, affordable)
        for region in regions:
            if session.exhausted:
                break
            chosen = self._cut_back([n for n in region if _storable(n, values, region)], values)
            refused.update(n for n in region if n not in chosen)
            if chosen and session.spend(self.name, where(chosen[-1])):
                _store(graph, chosen, values, session)
                count += 1
            for value in (value for node in region for value in node.outputs):
                values.pop(value, None)  # a view into a file is memory as long as somebody looks at it
        return count

    def _cut_back(self, region: Region, values: dict[ir.Value, Array]) -> Region:
        """Drop outermost nodes, most costly first, until storing what is left fits the budget."""
        chosen = _consistent(region, values)
        while chosen:
            inside = set(chosen)
            edge = {n: stored_bytes(n, inside, values) for n in chosen}
            if sum(edge.values()) - freed_bytes(inside) <= self.max_growth:
                break
            outermost = [n for n in chosen if not any(u.node in inside for v in n.outputs for u in v.uses())]
            worst = max(outermost, key=lambda n: edge[n])
            chosen = _consistent([n for n in chosen if n is not worst], values)
        return chosen


def _evaluate(
    model: ir.Model, graph: ir.Graph, regions: list[Region], session: Session, affordable: int
) -> dict[ir.Value, Array]:
    """What all regions compute, in one session; where that fails, region by region, then node by node."""
    nodes = leading_to([n for region in regions for n in region], affordable)
    held = moved(n for n in nodes if bytes_of(n.outputs[0]) <= max(affordable, _SMALL))
    known = {value: array for value, array in held.items() if bytes_of(value) <= affordable}
    rest = leading_to([n for n in nodes if n.outputs[0] not in held], affordable)
    if not rest:
        return known
    try:
        return known | _run(model, graph, rest, held, session, affordable)
    except (CannotEvaluate, WorkerDied):
        if len(regions) == 1:
            return _evaluate_singly(model, graph, regions[0], session, affordable)
    for region in regions:
        known.update(_evaluate(model, graph, [region], session, affordable))
    return known


def _evaluate_singly(
    model: ir.Model, graph: ir.Graph, region: Region, session: Session, affordable: int
) -> dict[ir.Value, Array]:
    known: dict[ir.Value, Array] = {}
    for node in region:
        if session.avoided.covers(FoldConstants.name, where(node)):
            continue
        if all(v is None or v in known or facts.is_constant(v) for v in node.inputs):
            try:
                known.update(_run(model, graph, [node], known, session, affordable))
            except CannotEvaluate:
                session.refuse(FoldConstants.name, "can-be-evaluated", where(node))
            except WorkerDied as death:
                session.leave_out(FoldConstants.name, where(node), f"computing it: {death.what}")
    return known


def _run(
    model: ir.Model, graph: ir.Graph, region: Region, known: dict[ir.Value, Array], session: Session, affordable: int
) -> dict[ir.Value, Array]:
    names: dict[ir.Value, str] = {}

    def name_of(value: ir.Value) -> str:
        return names.setdefault(value, f"v{len(names)}")

    proto = onnx.ModelProto(ir_version=max(model.ir_version, 4))
    for domain, version in _opsets(model, graph).items():
        proto.opset_import.add(domain=domain, version=version)
    proto.graph.name = "constants"
    inside = {v for n in region for v in n.outputs}
    held: set[ir.Value] = set()
    for node in region:
        made = proto.graph.node.add()
        made.CopyFrom(ir.serde.serialize_node(node))
        del made.input[:], made.output[:]
        made.input.extend("" if v is None else name_of(v) for v in node.inputs)
        made.output.extend(name_of(v) if v.name else "" for v in node.outputs)
        for value in node.inputs:
            if value is not None and value not in inside and value not in held:
                held.add(value)
                array = known[value] if value in known else facts.constant(value)
                assert array is not None
                proto.graph.initializer.append(_tensor_proto(array, name_of(value), facts.dtype(value)))
    wanted = [v for n in region for v in n.outputs if v.name and bytes_of(v) <= affordable]
    if not wanted:
        return {}
    for value in wanted:
        declared = proto.graph.output.add(name=name_of(value))
        if (dtype := facts.dtype(value)) is not None:
            declared.type.tensor_type.elem_type = dtype.value
    results: list[object] = session.compute("ncgopt.runtime.evaluate:evaluate", proto.SerializeToString(), {})
    return {v: r for v, r in zip(wanted, results, strict=True) if isinstance(r, np.ndarray)}


def _opsets(model: ir.Model, graph: ir.Graph) -> dict[str, int]:
    for function in model.functions.values():
        if graph in graphs_within(function.graph):
            return function.opset_imports
    return model.graph.opset_imports


def _tensor_proto(array: Array, name: str, dtype: ir.DataType | None) -> onnx.TensorProto:
    proto = ir.serde.serialize_tensor(_tensor(array, dtype))
    proto.name = name
    return proto


def _tensor(array: Array, dtype: ir.DataType | None) -> ir.TensorProtocol:
    if dtype == ir.DataType.STRING or array.dtype.kind in "OUS":
        strings = [s if isinstance(s, bytes) else str(s).encode() for s in array.reshape(-1).tolist()]
        return ir.StringTensor(strings, shape=ir.Shape(array.shape))
    return ir.Tensor(np.require(array, requirements=["C", "ALIGNED"]).reshape(array.shape), dtype=dtype)


def _storable(node: ir.Node, values: dict[ir.Value, Array], region: Region) -> bool:
    """Whether every output that anyone uses was computed, with the type it is known to have."""
    for value in node.outputs:
        if not value.uses() and not value.is_graph_output():
            continue
        array, dtype = values.get(value), facts.dtype(value)
        if array is None:
            # A sequence, say: fine as long as it is used only inside the region.
            if value.is_graph_output() or any(use.node not in region for use in value.uses()):
                return False
        elif dtype is not None and dtype != ir.DataType.STRING and array.dtype != dtype.numpy():
            return False
        elif _needs_node(value) and not node.domain and (node.version or 1) < 9 and array.dtype.kind != "f":
            return False  # a Constant holds nothing but floats there
    return True


def _needs_node(value: ir.Value) -> bool:
    """Whether a Constant node has to hold what is known of `value`: no initializer is an output, or in a function."""
    node = value.producer()
    graph = node.graph if node is not None else None
    in_function = graph is not None and bool(graph.opset_imports) and not facts.inputs_are_enforced(graph)
    return in_function or value.is_graph_output()


def _consistent(region: Region, values: dict[ir.Value, Array]) -> Region:
    """The nodes whose producers are all still there and whose sequences stay inside."""
    chosen = region
    while True:
        inside = set(chosen)
        kept = [n for n in closed(chosen) if _storable(n, values, chosen)]
        if len(kept) == len(inside):
            return kept
        chosen = kept


def _store(graph: ir.Graph, chosen: Region, values: dict[ir.Value, Array], session: Session) -> None:
    inside = set(chosen)
    used: list[ir.Value] = []
    for node in chosen:
        for value in list(node.outputs):
            if value.is_graph_output() or any(use.node not in inside for use in value.uses()):
                _materialize(graph, node, value, values[value], session)
    for node in reversed(chosen):
        used.extend(remove_node(node))
    remove_dead(used)


def _materialize(graph: ir.Graph, node: ir.Node, old: ir.Value, array: Array, session: Session) -> None:
    """An initializer, or a `Constant` node where the graph takes none or an output needs a producer."""
    tensor = session.scratch.keep(_tensor(array, facts.dtype(old)))
    needs_node = _needs_node(old)
    name, old.name = old.name, None
    tensor.name = name
    value = ir.Value(name=name, shape=old.shape, type=old.type, doc_string=old.doc_string, const_value=tensor)
    value.metadata_props.update(old.metadata_props)
    take_notes(old, value)
    for use in tuple(old.uses()):
        use.node.replace_input_with(use.idx, value)
    if not needs_node:
        value.shape, value.type = ir.Shape(array.shape), ir.TensorType(tensor.dtype)
        graph.register_initializer(value)
        return
    holder = ir.Node(
        "", "Constant", [], [ir.AttrTensor("value", tensor)], outputs=[value],
        version=node.version, name=session.fresh_name(f"{name}/Constant"),
    )  # fmt: skip
    graph.insert_before(node, holder)
    for index, output in enumerate(graph.outputs):
        if output is old:
            graph.outputs[index] = value
