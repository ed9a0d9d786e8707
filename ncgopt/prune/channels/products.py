"""Convolutions and matrix products: rows of the weight make channels, columns take them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.prune.channels.trace import Handler, Trace, describe, rank_of


def _conv(trace: Trace, node: ir.Node) -> None:
    x, weight, out = node.inputs[0], node.inputs[1], node.outputs[0]
    if x is None or weight is None:
        return
    rank = rank_of(weight)
    groups = facts.int_attribute(node, "group") or 1
    for axis in range(2, rank):
        trace.lock(weight, axis, f"the kernel of {describe(node)}")
        trace.lock(x, axis, f"{describe(node)} sums over it")
        trace.lock(out, axis, f"{describe(node)} sums over it")
    trace.tie(x, 0, out, 0, node)
    trace.tie(weight, 0, out, 1, node)
    trace.made[weight, 0] = node
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        trace.tie(node.inputs[2], 0, out, 1, node)
    if groups == 1:
        trace.tie(weight, 1, x, 1, node)
        trace.summed[weight, 1] = node
    else:
        _grouped(trace, node, x, weight, out, groups)


def _grouped(trace: Trace, node: ir.Node, x: ir.Value, weight: ir.Value, out: ir.Value, groups: int) -> None:
    """Groups go as a whole, so that those that stay keep their width."""
    atoms, why = trace.atoms, describe(node)
    given, made = atoms.of(x, 1), atoms.of(out, 1)
    trace.lock(weight, 1, f"{why} has groups")
    if given is None or made is None or len(given) % groups or len(made) % groups:
        atoms.lock(given, why)
        atoms.lock(made, why)
        return
    given, made = given.reshape(groups, -1), made.reshape(groups, -1)
    for block in (given, made):
        atoms.tie(np.repeat(block[:, 0], block.shape[1] - 1), block[:, 1:].reshape(-1), why)
    atoms.tie(given[:, 0], made[:, 0], why)


def _conv_transpose(trace: Trace, node: ir.Node) -> None:
    x, weight, out = node.inputs[0], node.inputs[1], node.outputs[0]
    if x is None or weight is None:
        return
    if (facts.int_attribute(node, "group") or 1) != 1:
        for value in (x, weight, out):
            trace.lock_all(value, f"{describe(node)} has groups")
        return
    for axis in range(2, rank_of(weight)):
        for value in (weight, x, out):
            trace.lock(value, axis, f"{describe(node)} sums over it")
    trace.tie(x, 0, out, 0, node)
    trace.tie(weight, 0, x, 1, node)
    trace.summed[weight, 0] = node
    trace.tie(weight, 1, out, 1, node)
    trace.made[weight, 1] = node
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        trace.tie(node.inputs[2], 0, out, 1, node)


def _gemm(trace: Trace, node: ir.Node) -> None:
    a, b, out = node.inputs[0], node.inputs[1], node.outputs[0]
    if a is None or b is None:
        return
    turned_a, turned_b = (facts.int_attribute(node, name) or 0 for name in ("transA", "transB"))
    a_rows, a_columns = (1, 0) if turned_a else (0, 1)
    b_rows, b_columns = (1, 0) if turned_b else (0, 1)
    trace.tie(a, a_rows, out, 0, node)
    trace.tie(b, b_columns, out, 1, node)
    _sum(trace, node, (a, a_columns), (b, b_rows))
    trace.made[b, b_columns] = node
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        _broadcast(trace, node, node.inputs[2], out)


def _matmul(trace: Trace, node: ir.Node) -> None:
    a, b, out = node.inputs[0], node.inputs[1], node.outputs[0]
    if a is None or b is None:
        return
    ranks = rank_of(a), rank_of(b), rank_of(out)
    if min(ranks) < 2:
        for value in (a, b, out):
            trace.lock_all(value, f"{describe(node)} has a vector, or unknown shapes")
        return
    trace.tie(a, ranks[0] - 2, out, ranks[2] - 2, node)
    trace.tie(b, ranks[1] - 1, out, ranks[2] - 1, node)
    _sum(trace, node, (a, ranks[0] - 1), (b, ranks[1] - 2))
    for side, rank in ((a, ranks[0]), (b, ranks[1])):
        for axis in range(rank - 2):
            _one_axis(trace, node, side, axis, out, axis + ranks[2] - rank)
    if b.is_initializer():
        trace.made[b, ranks[1] - 1] = node
    else:
        trace.made[a, ranks[0] - 2] = node


def _sum(trace: Trace, node: ir.Node, left: tuple[ir.Value, int], right: tuple[ir.Value, int]) -> None:
    """The summed axis: a position may go only if one side is a weight, whose entries it then takes with it."""
    trace.tie(*left, *right, node)
    weights = [side for side in (left, right) if side[0].is_initializer() and facts.is_constant(side[0])]
    if len(weights) == 1:
        trace.summed[weights[0]] = node
    else:
        trace.lock(*left, f"{describe(node)} sums over it")


def _broadcast(trace: Trace, node: ir.Node, value: ir.Value, out: ir.Value) -> None:
    """Every axis of `value` goes with that of the result; numpy's rules."""
    offset = rank_of(out) - rank_of(value)
    for axis in range(rank_of(value)):
        _one_axis(trace, node, value, axis, out, axis + offset)


def _one_axis(trace: Trace, node: ir.Node, value: ir.Value, axis: int, out: ir.Value, out_axis: int) -> None:
    """An axis of size 1 repeats itself and is tied to nothing."""
    shape = facts.shape(value) if not value.is_initializer() else None
    size = shape[axis] if shape is not None else None
    if value.is_initializer() and value.const_value is not None:
        size = value.const_value.shape.numpy()[axis]
    if size == 1:
        return
    trace.tie(value, axis, out, out_axis, node)


def _elementwise(trace: Trace, node: ir.Node) -> None:
    out = node.outputs[0]
    for value in node.inputs:
        if value is None:
            continue
        if rank_of(value) == 0 and not _is_scalar(value):
            trace.lock_all(out, f"{describe(node)} has an input of unknown shape")
            continue
        _broadcast(trace, node, value, out)
    for extra in node.outputs[1:]:
        trace.lock_all(extra, f"a second output of {describe(node)}")


def _is_scalar(value: ir.Value) -> bool:
    if value.const_value is not None and value.is_initializer():
        return len(value.const_value.shape) == 0
    return facts.rank(value) == 0


_ELEMENTWISE = (
    *("Abs", "Acos", "Add", "And", "Asin", "Atan", "Cast", "Ceil", "Celu", "Clip", "Cos", "Div", "Dropout", "Elu"),
    *("Equal", "Erf", "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity"),
    *("IsInf", "IsNaN", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Min", "Mish", "Mod", "Mul", "Neg", "Not"),
    *("Or", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus"),
    *("Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Where", "Xor"),
)

HANDLERS: Mapping[str, Handler] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
}
