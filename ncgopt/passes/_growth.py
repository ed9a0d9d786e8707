"""What folding adds to a file and what it takes away, in bytes."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array

_ENTRY_OVERHEAD = 12  # bytes of tags and lengths around one more initializer or node


def stored_bytes(node: ir.Node, inside: set[ir.Node], values: dict[ir.Value, Array]) -> int:
    """Bytes of the initializers that hold what `node` computes and nodes outside of `inside` use."""
    total = 0
    for value in node.outputs:
        if value.is_graph_output() or any(use.node not in inside for use in value.uses()):
            array = values[value]
            size = sum(len(str(s)) + 2 for s in array.reshape(-1)) if array.dtype.kind in "OUS" else array.nbytes
            total += size + len(value.name or "") + _ENTRY_OVERHEAD + 2 * array.ndim
    return total


def freed_bytes(inside: set[ir.Node]) -> int:
    """Bytes of the nodes, and of the constants that only they use."""
    total = 0
    for node in inside:
        total += ir.serde.serialize_node(node).ByteSize() + 2
    for value in {v for n in inside for v in n.inputs if v is not None and v.producer() not in inside}:
        mine = all(use.node in inside for use in value.uses()) and not value.is_graph_output()
        if mine and facts.is_constant(value):
            tensor = value.const_value
            if tensor is None:  # a Constant node
                producer = value.producer()
                total += ir.serde.serialize_node(producer).ByteSize() if producer is not None else 0
            elif tensor.dtype != ir.DataType.STRING:
                total += tensor.nbytes + len(value.name or "") + _ENTRY_OVERHEAD
    return total
