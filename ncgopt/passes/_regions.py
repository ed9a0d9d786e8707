"""Connected nodes that compute constants, and which of them are worth computing."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt import facts

Region = list[ir.Node]


def closed(nodes: Region) -> Region:
    """Only nodes all of whose producers are constants or in the list."""
    inside: set[ir.Node] = set()
    for node in nodes:
        producers = [v.producer() for v in node.inputs if v is not None and not facts.is_constant(v)]
        if all(p in inside for p in producers):
            inside.add(node)
    return [n for n in nodes if n in inside]


def components(nodes: Region) -> list[Region]:
    """Connected parts, so that one that must not be folded does not hold back another."""
    parent = {n: n for n in nodes}

    def root(n: ir.Node) -> ir.Node:
        while parent[n] is not n:
            parent[n] = n = parent[parent[n]]
        return n

    for node in nodes:
        for value in node.inputs:
            producer = value.producer() if value is not None else None
            if producer is not None and producer in parent:
                parent[root(node)] = root(producer)
    parts: dict[ir.Node, Region] = {}
    for node in nodes:
        parts.setdefault(root(node), []).append(node)
    return list(parts.values())


def leading_to(nodes: Region, affordable: int) -> Region:
    """Those of `nodes` on which a result depends that could be stored: the others are not worth computing."""
    wanted: set[ir.Value] = set()
    found: Region = []
    for node in reversed(nodes):
        if any(v in wanted or (v.name and bytes_of(v) <= affordable) for v in node.outputs):
            wanted.update(v for v in node.inputs if v is not None)
            found.append(node)
    return found[::-1]


def bytes_of(value: ir.Value) -> int:
    """Bytes of a value whose size is known; 0 otherwise."""
    size, dtype = facts.known_size(value), facts.dtype(value)
    return 0 if size is None or dtype is None or dtype == ir.DataType.STRING else (size * dtype.bitwidth + 7) // 8
