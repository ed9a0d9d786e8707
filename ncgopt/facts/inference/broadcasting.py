"""Shapes of operators whose inputs broadcast, under symbols that ONNX's inference gives up on."""

from __future__ import annotations

from ncgopt.facts.inference.reshaping import broadcast
from ncgopt.facts.inference.view import NodeView
from ncgopt.facts.types import Shape

OPERATORS = frozenset({
    "Add", "Sub", "Mul", "Div", "Pow", "Mod", "Max", "Min", "Sum", "Mean", "And", "Or", "Xor", "Equal", "Greater",
    "Less", "GreaterOrEqual", "LessOrEqual", "Where", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor",
})  # fmt: skip


def elementwise(view: NodeView) -> Shape | None:
    """All inputs broadcast with one another; before opset 7 the second took the first one's shape."""
    if view.version < 7 and view.node.op_type not in ("Max", "Min", "Sum", "Mean"):
        return view.shape(0)
    shapes = [view.shape(k) for k in range(len(view.node.inputs))]
    known = [dims for dims in shapes if dims is not None]
    return broadcast(*known) if len(known) == len(shapes) else None


def matmul(view: NodeView) -> Shape | None:
    """MatMul: the last two axes multiply, those before broadcast (numpy.matmul)."""
    a, b = view.shape(0), view.shape(1)
    if not a or not b:
        return None
    batch = broadcast(a[:-2], b[:-2])
    rows = a[-2:-1]  # none where a is a vector
    columns = b[-1:] if len(b) > 1 else ()
    return None if batch is None else (*batch, *rows, *columns)
