"""How a permutation of axes passes an operator, and what becomes of its operands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.operands import normalized_axes
from ncgopt.rewrite import Tape

Permutation = tuple[int, ...]

_ELEMENTWISE = frozenset({
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cast", "Ceil", "Celu", "Cos", "Cosh", "Elu", "Erf",
    "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish", "Neg",
    "Not", "PRelu", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus",
    "Softsign", "Sqrt", "Tan", "Tanh", "ThresholdedRelu",
    "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod",
    "Mul", "Or", "Pow", "Sub", "Sum", "Where", "Xor",
})  # fmt: skip
# Of these only the first input has the layout of the result; the others must be single numbers.
_FIRST_ONLY = frozenset({"Clip", "QuantizeLinear", "DequantizeLinear"})
_SMALL = 256  # bytes of a constant that may be stored in two layouts


def moved_operands(node: ir.Node, rank: int) -> tuple[int, ...] | None:
    """The inputs that are permuted if the result of `node`, a tensor of that rank, is; None where that cannot be.

    Scalars stay as they are. A constant that broadcasts is permuted as if its leading axes of length
    1 were written out; of others the rank must be known to be that of the result.
    """
    if node.domain or (node.version or 1) < 8 or len(node.outputs) != 1 or facts.rank(node.outputs[0]) != rank:
        return None  # before opset 7 broadcasting went by an attribute `axis`, of PRelu until 8
    moved: list[int] = []
    for index, value in enumerate(node.inputs):
        own = facts.rank(value) if value is not None else 0
        if own is None or own > rank or (0 < own < rank and not facts.is_constant(value)):
            return None
        if own:
            moved.append(index)
    if node.op_type in _ELEMENTWISE or (node.op_type in _FIRST_ONLY and moved == [0]):
        return tuple(moved)
    return tuple(moved) if node.op_type == "Concat" and facts.int_attribute(node, "axis") is not None else None


def permuted(tape: Tape, node: ir.Node, inputs: Sequence[ir.Value | None], perm: Permutation) -> ir.Value:
    """Record `node` on permuted inputs: axis k of the new result is axis `perm[k]` of the old."""
    made = tape.like(node, inputs)
    copy, axis = made.producer(), facts.int_attribute(node, "axis") if node.op_type == "Concat" else None
    if copy is not None and axis is not None:
        copy.attributes["axis"] = ir.AttrInt64("axis", perm.index(axis % len(perm)))
    return made


def permuted_constant(tape: Tape, value: ir.Value, perm: Permutation) -> ir.Value:
    """Record the constant `value` with its axes permuted, those that broadcasting adds included."""
    array = facts.constant(value)
    assert array is not None
    full = array.reshape((1,) * (len(perm) - array.ndim) + array.shape)
    return tape.constant(np.ascontiguousarray(np.transpose(full, perm)))


def may_permute_constant(value: ir.Value) -> bool:
    """Whether storing the constant in another layout leaves the file as it is, or nearly so."""
    array = facts.constant(value)
    return array is not None and (facts.sole_user(value) or array.nbytes <= _SMALL)


def composed(first: Permutation, second: Permutation) -> Permutation:
    """The permutation that does `first`, then `second`."""
    return tuple(first[axis] for axis in second)


def inverse(perm: Permutation) -> Permutation:
    """The permutation that undoes `perm`."""
    return tuple(perm.index(axis) for axis in range(len(perm)))


def is_identity(perm: Permutation) -> bool:
    """Whether nothing moves."""
    return perm == tuple(range(len(perm)))


def counted_axis(node: ir.Node, rank: int | None) -> int | None:
    """The attribute `axis` counted from the front; None where unknown."""
    axis = facts.int_attribute(node, "axis")
    found = normalized_axes((axis,), rank) if axis is not None else None
    return None if found is None else found[0]
