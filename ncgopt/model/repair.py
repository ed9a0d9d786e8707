"""What ONNX Runtime runs although the standard forbids it, put right before anything else looks.

Each repair does what ONNX Runtime 1.20 and later were observed to do; what it refuses is left for
the reader to refuse. It is this tolerant in the main graph only: in subgraphs and local functions the
same mistakes stop it.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator

import onnx
import onnx.defs

from ncgopt.errors import ModelInvalid
from ncgopt.model.texts import repair_texts
from ncgopt.report import Repair

_MAIN = "main graph"


def repair(proto: onnx.ModelProto) -> list[Repair]:
    """Repair the model in place; one entry per repair.

    Raises:
        ModelInvalid: the graph is empty or cyclic, imports no operator set at all, or names an input
            or output with bytes that are no text.
    """
    graph = proto.graph
    if not graph.node and not graph.output:
        raise ModelInvalid("the graph is empty")
    return [
        *repair_texts(proto),
        *_repeated_imports(proto),
        *_missing_imports(proto),
        *_unnamed_initializers(graph),
        *_repeated_initializers(graph),
        *_repeated_constants(graph),
        *_unsorted(graph),
    ]


def _repeated_imports(proto: onnx.ModelProto) -> Iterator[Repair]:
    """The last import of a domain counts, as in ONNX Runtime."""
    last = {_domain(item.domain): index for index, item in enumerate(proto.opset_import)}
    for index in reversed(range(len(proto.opset_import))):
        item = proto.opset_import[index]
        if last[_domain(item.domain)] != index:
            yield Repair(
                "repeated-opset-import", "model", f"dropped version {item.version} of {item.domain or 'ai.onnx'}"
            )
            del proto.opset_import[index]


def _missing_imports(proto: onnx.ModelProto) -> Iterator[Repair]:
    """ONNX Runtime takes the newest version of each domain of its own that is not imported.

    For the default domain we name the oldest version that means the same for every operator in use,
    so that the model stays readable for runtimes which do not know the newest one.
    """
    if not proto.opset_import:
        raise ModelInvalid("the model imports no operator set")
    imported = {_domain(item.domain) for item in proto.opset_import}
    local = {_domain(function.domain) for function in proto.functions}
    used: dict[str, set[str]] = {}
    for node in _all_nodes(proto.graph):
        used.setdefault(_domain(node.domain), set()).add(node.op_type)
    for domain in sorted(used.keys() - imported - local):
        version = max((_newest_version(domain, op_type) for op_type in used[domain]), default=1)
        proto.opset_import.add(domain=domain, version=version)
        yield Repair("missing-opset-import", "model", f"imported version {version} of {domain or 'ai.onnx'}")


def _newest_version(domain: str, op_type: str) -> int:
    try:
        return onnx.defs.get_schema(op_type, domain).since_version
    except onnx.defs.SchemaError:
        return 1


def _unnamed_initializers(graph: onnx.GraphProto) -> Iterator[Repair]:
    """Nobody can refer to them."""
    for index in reversed(range(len(graph.initializer))):
        if not graph.initializer[index].name:
            del graph.initializer[index]
            yield Repair("unnamed-initializer", _MAIN, f"dropped initializer number {index}")
    for index in reversed(range(len(graph.sparse_initializer))):
        if not graph.sparse_initializer[index].values.name:
            del graph.sparse_initializer[index]
            yield Repair("unnamed-initializer", _MAIN, f"dropped sparse initializer number {index}")


def _repeated_initializers(graph: onnx.GraphProto) -> Iterator[Repair]:
    """Of equally shaped initializers of one name the last counts, a sparse one before dense ones."""
    sparse = {item.values.name: list(item.dims) for item in graph.sparse_initializer}
    last = {item.name: index for index, item in enumerate(graph.initializer)}
    for index in reversed(range(len(graph.initializer))):
        name, dims = graph.initializer[index].name, list(graph.initializer[index].dims)
        if name in sparse:
            winner, same = "sparse", dims == sparse[name]
        elif last[name] != index:
            winner, same = "last", dims == list(graph.initializer[last[name]].dims)
        else:
            continue
        if not same:
            raise ModelInvalid(f"initializer {name!r} is defined twice, with different shapes")
        del graph.initializer[index]
        last = {item.name: position for position, item in enumerate(graph.initializer)}
        yield Repair("repeated-initializer", _MAIN, f"kept the {winner} definition of {name!r}")


def _repeated_constants(graph: onnx.GraphProto) -> Iterator[Repair]:
    """Of Constants of one name the last counts, and it replaces an initializer of that name."""
    constants = {
        node.output[0]: index for index, node in enumerate(graph.node) if _is_constant(node) and len(node.output) == 1
    }
    counts = Counter(name for node in graph.node for name in node.output if name)
    for index in reversed(range(len(graph.initializer))):
        name = graph.initializer[index].name
        if name in constants and name not in {info.name for info in graph.input}:
            del graph.initializer[index]
            yield Repair("repeated-initializer", _MAIN, f"kept the Constant that defines {name!r} too")
    for index in reversed(range(len(graph.node))):
        node = graph.node[index]
        if _is_constant(node) and len(node.output) == 1 and counts[node.output[0]] > 1:
            if constants[node.output[0]] == index:
                continue
            name = node.output[0]
            del graph.node[index]
            constants[name] -= 1
            yield Repair("repeated-constant", _MAIN, f"kept the last Constant that defines {name!r}")


def _unsorted(graph: onnx.GraphProto) -> Iterator[Repair]:
    """Nodes in an order that defines every value before its use, as near to the given order as possible."""
    producers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    needs = [{producers[name] for name in _reads(node) if name in producers} for node in graph.node]
    if all(max(need, default=-1) < index for index, need in enumerate(needs)):
        return
    users: list[list[int]] = [[] for _ in needs]
    for index, need in enumerate(needs):
        for producer in need:
            users[producer].append(index)
    missing = [len(need) for need in needs]
    ready = [index for index, count in enumerate(missing) if count == 0]
    order: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for user in users[index]:
            missing[user] -= 1
            if missing[user] == 0:
                heapq.heappush(ready, user)
    if len(order) != len(needs):
        stuck = next(index for index, count in enumerate(missing) if count > 0)
        raise ModelInvalid(
            f"the graph has a cycle through node {graph.node[stuck].name!r} ({graph.node[stuck].op_type})"
        )
    nodes = [onnx.NodeProto() for _ in order]
    for node, index in zip(nodes, order, strict=True):
        node.CopyFrom(graph.node[index])
    del graph.node[:]
    graph.node.extend(nodes)
    moved = sum(position != index for position, index in enumerate(order))
    yield Repair("unsorted-nodes", _MAIN, f"moved {moved} nodes behind the ones they read from")


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """Names that a node reads, its subgraphs included."""
    yield from (name for name in node.input if name)
    for graph in _subgraphs(node):
        inner = {info.name for info in graph.input} | {item.name for item in graph.initializer}
        inner |= {name for item in graph.node for name in item.output}
        yield from (name for item in graph.node for name in _reads(item) if name not in inner)


def _all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for subgraph in _subgraphs(node):
            yield from _all_nodes(subgraph)


def _subgraphs(node: onnx.NodeProto) -> Iterable[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _is_constant(node: onnx.NodeProto) -> bool:
    return node.op_type == "Constant" and _domain(node.domain) == ""


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain
