"""The cost of one node whose shapes are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_ir as ir

from ncgopt.cost import attention, elementwise, linear, movement, reduction
from ncgopt.cost.sized import ShapeOf, Sized, UnknownShapeError
from ncgopt.records import record

# Domain and operator -> FLOPs. Each table is a subject of its own; no operator is in two of them.
_COUNTERS: dict[tuple[str, str], Callable[[Sized], int]] = {
    **linear.COUNTERS,
    **attention.COUNTERS,
    **elementwise.COUNTERS,
    **reduction.COUNTERS,
    **movement.COUNTERS,
}


@record
class NodeCost:
    """What running one node once takes.

    Attributes:
        flops: floating point operations, by the conventions of `ncgopt.cost`.
        bytes_read: bytes of the inputs, weights included, as far as the operator looks at them (Gather
            reads the rows it picks); None where a shape or the element size is unknown.
        bytes_written: bytes of the outputs; 0 for an operator that is a new view of its input.
        weight_bytes: bytes of the constant inputs, stored size.
    """

    flops: int
    bytes_read: int | None
    bytes_written: int | None
    weight_bytes: int

    @property
    def bytes_moved(self) -> int | None:
        """Bytes read plus bytes written, None where either is unknown."""
        if self.bytes_read is None or self.bytes_written is None:
            return None
        return self.bytes_read + self.bytes_written


def node_cost(node: ir.Node, shape_of: ShapeOf) -> NodeCost | None:
    """Cost of a node, or None for an unknown operator, or unknown shapes that its cost depends on.

    Nodes with subgraphs (If, Loop, Scan) and calls of local functions have no cost of their own here:
    `graph_cost` looks into them.

    Args:
        node: the node; its inputs need dtypes for the byte counts.
        shape_of: the shape of a value in numbers, None where unknown (`ncgopt.facts.static` is one).
    """
    domain = "" if node.domain == "ai.onnx" else node.domain
    counter = _COUNTERS.get((domain, node.op_type))
    if counter is None:
        return None
    sized = Sized(node, shape_of)
    try:
        flops = counter(sized)
    except UnknownShapeError:
        return None
    read, written = _moved(node, domain, shape_of)
    return NodeCost(flops, read, written, weight_bytes(node))


def weight_bytes(node: ir.Node) -> int:
    """Stored bytes of the constants that a node takes as inputs, each counted once."""
    values = dict.fromkeys(value for value in node.inputs if value is not None)
    return sum(value.const_value.nbytes for value in values if value.const_value is not None)


def _moved(node: ir.Node, domain: str, shape_of: ShapeOf) -> tuple[int | None, int | None]:
    inputs = [v for v in dict.fromkeys(node.inputs) if v is not None]
    written = _total(node.outputs, shape_of)
    if (domain, node.op_type) in movement.VIEWS:
        return 0, 0
    if (domain, node.op_type) in movement.PICKS:
        picked = _total(inputs[1:], shape_of)
        return (None if written is None or picked is None else written + picked), written
    return _total(inputs, shape_of), written


def _total(values: Sequence[ir.Value], shape_of: ShapeOf) -> int | None:
    sizes = [_bytes(value, shape_of) for value in values]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _bytes(value: ir.Value, shape_of: ShapeOf) -> int | None:
    """Bytes of a value in memory; None for strings and for anything that is no tensor."""
    if not value.name and not value.uses():
        return 0  # an optional output nobody asked for
    dtype = value.dtype if value.const_value is None else value.const_value.dtype
    shape = shape_of(value)
    if dtype is None or shape is None or dtype in (ir.DataType.STRING, ir.DataType.UNDEFINED):
        return None
    elements = 1
    for size in shape:
        elements *= size
    return (elements * dtype.bitwidth + 7) // 8
