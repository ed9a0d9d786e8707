"""ONNX Runtime's MatMul with a factor and transposed operands in it (docs/ContribOperators.md, FusedMatMul).

Measured beside what it replaces (ONNX Runtime 1.32, 12 heads of 32 to 512 rows, 1 and 2 threads): a
Transpose and a Mul less around scores make them 1.2 to 2 times as fast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Tape

MATMULS = ("MatMul", "com.microsoft::FusedMatMul")
_SERVED = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE})
_FLAGS = ("transA", "transB")


@record
class Product:
    """`out = alpha * A' @ B'`, written as a MatMul or a FusedMatMul.

    Attributes:
        operands: A and B as they are stored.
        flags: for each whether its last two dims change places.
    """

    node: ir.Node
    operands: tuple[ir.Value, ir.Value]
    alpha: float
    flags: tuple[bool, bool]

    @property
    def out(self) -> ir.Value:
        """The product."""
        return self.node.outputs[0]

    def build(self, tape: Tape, operands: Sequence[ir.Value], alpha: float, flags: Sequence[bool]) -> ir.Value:
        """Record a FusedMatMul, its attributes only where they are not the default."""
        attributes: dict[str, int | float] = {} if alpha == 1.0 else {"alpha": alpha}
        attributes.update({name: 1 for name, flag in zip(_FLAGS, flags, strict=True) if flag})
        return tape.op("FusedMatMul", operands, attributes, domain="com.microsoft", name=self.node.name)


def product(node: ir.Node | None) -> Product | None:
    """The node as a Product; None where it is none, something about it is unknown, or no kernel takes its type."""
    if node is None or len(node.inputs) != 2 or facts.dtype(node.outputs[0]) not in _SERVED:
        return None
    a, b = node.inputs
    if a is None or b is None:
        return None
    if not node.domain:
        return Product(node, (a, b), 1.0, (False, False))
    alpha = facts.float_attribute(node, "alpha") if facts.is_set(node, "alpha") else 1.0
    flags = [facts.int_attribute(node, name) if facts.is_set(node, name) else 0 for name in _FLAGS]
    if alpha is None or None in flags or any(facts.is_set(node, name) for name in ("transBatchA", "transBatchB")):
        return None
    return Product(node, (a, b), alpha, (bool(flags[0]), bool(flags[1])))


def product_at(value: ir.Value | None, root: ir.Node) -> Product | None:
    """The Product that makes `value` in the graph of `root`."""
    return product(producer_beside(value, root, *MATMULS))


@record
class Scaled:
    """`root = x * factor`; `rank` is that of the constant, which must not enlarge x."""

    root: ir.Node
    x: ir.Value
    factor: float
    rank: int

    @property
    def keeps_shape(self) -> bool:
        """Whether the constant enlarges nothing."""
        rank = facts.rank(self.x)
        return self.rank == 0 or (rank is not None and self.rank <= rank)


def scalings(root: ir.Node | None) -> Sequence[Scaled]:
    """Each way to read a Mul or Div as a value times one constant number, finite and not zero."""
    if root is None or root.op_type not in ("Mul", "Div") or root.domain:
        return ()
    a, b = root.inputs
    pairs = ((a, b), (b, a)) if root.op_type == "Mul" else ((a, b),)
    return [found for x, constant in pairs if (found := _scaled(root, x, constant)) is not None]


def _scaled(root: ir.Node, x: ir.Value | None, constant: ir.Value | None) -> Scaled | None:
    number = cast("float | None", facts.scalar(constant)) if constant is not None else None
    if x is None or constant is None or not number or not math.isfinite(number):
        return None
    return Scaled(root, x, number if root.op_type == "Mul" else 1 / number, facts.rank(constant) or 0)


def is_factor(alpha: float, out: ir.Value) -> bool:
    """Whether a product can have the factor `alpha`, which the operator holds in float32."""
    with np.errstate(over="ignore", under="ignore"):
        held = float(np.float32(alpha))
    if held == 0 or not math.isfinite(held):
        return False
    return held == alpha or facts.dtype(out) != ir.DataType.DOUBLE
