"""Softmax written in pieces: `exp(t) / sum(exp(t))`, where `t = x - max(x)` or x itself."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.interior import is_closed
from ncgopt.facts.operands import ints_operand, normalized_axes
from ncgopt.records import record
from ncgopt.rewrite import Pays, Tape

_SERVED = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE})


@record
class Match:
    """`root` is the Softmax of x along its last axis, or the logarithm of that, computed by `nodes`."""

    x: ir.Value
    nodes: tuple[ir.Node, ...]
    root: ir.Node


PAYS = (
    Pays[Match](
        "sole-users", "intermediate values would be computed on their own too", lambda m: is_closed(m.nodes, m.root)
    ),
)


def bind(x: ir.Value | None, nodes: tuple[ir.Node, ...], root: ir.Node) -> Match | None:
    """The match where ONNX Runtime has the operators for the element type of x."""
    return Match(x, nodes, root) if x is not None and facts.dtype(x) in _SERVED else None


def build(tape: Tape, m: Match, op_type: str) -> ir.Value:
    """Record `op_type` along the last axis, which is the same thing at every opset."""
    rank = facts.rank(m.x)
    if rank is None:
        raise ValueError("the last axis is not known")
    return tape.op(op_type, [m.x], {"axis": rank - 1})


def sum_of_exponentials(value: ir.Value | None, root: ir.Node) -> tuple[ir.Node, ir.Node] | None:
    """The Exp and the ReduceSum where `value` is the sum of exponentials along the last axis, kept as one."""
    total = producer_beside(value, root, "ReduceSum")
    exponential = producer_beside(facts.input_of(total, 0), root, "Exp") if total is not None else None
    if total is None or exponential is None or not _is_over_last_axis(total):
        return None
    return exponential, total


def without_maximum(shifted: ir.Value, root: ir.Node) -> tuple[ir.Value, tuple[ir.Node, ...]]:
    """X and the operators between, where `shifted` is x less its maximum along the last axis; else itself."""
    difference = producer_beside(shifted, root, "Sub")
    x, maximum = difference.inputs if difference is not None else (None, None)
    reduce = producer_beside(maximum, root, "ReduceMax")
    if difference is None or x is None or reduce is None or reduce.inputs[0] is not x:
        return shifted, ()
    return (x, (difference, reduce)) if _is_over_last_axis(reduce) else (shifted, ())


def _is_over_last_axis(node: ir.Node) -> bool:
    x = facts.input_of(node, 0)
    rank = facts.rank(x) if x is not None else None
    axes = ints_operand(node, "axes", 1)
    if rank is None or not axes or facts.int_attribute(node, "keepdims") != 1:
        return False
    return normalized_axes(axes, rank) == (rank - 1,)
