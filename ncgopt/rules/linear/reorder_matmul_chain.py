"""Multiply a chain of three matrices in the cheaper order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.cost import falls, product_cost
from ncgopt.facts import symbols
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.rounding import representable
from ncgopt.facts.symbols import Dim
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape


@record
class Match:
    """`(a b) c` where `left_first`, else `a (b c)`; `inner` is the product in parentheses."""

    a: ir.Value
    b: ir.Value
    c: ir.Value
    inner: ir.Value
    left_first: bool

    @property
    def same_batch(self) -> bool:
        """Whether no operand is broadcast: batch dimensions are known and the same."""
        shapes = [facts.shape(v) for v in (self.a, self.b, self.c)]
        batches = [s[:-2] for s in shapes if s is not None and len(s) >= 2 and None not in s[:-2]]
        return len(batches) == len(shapes) and len(set(batches)) == 1

    @property
    def costs(self) -> tuple[Dim, Dim]:
        """FLOPs of both orders, left first and right first."""
        a, b, c = (facts.shape(v) or (None, None) for v in (self.a, self.b, self.c))
        left = symbols.add(product_cost(a, b[-1]), product_cost((*a[:-1], b[-1]), c[-1]))
        right = symbols.add(product_cost(b, c[-1]), product_cost(a, c[-1]))
        return left, right

    @property
    def saves(self) -> bool:
        """Whether the other order takes fewer operations at every size."""
        left, right = self.costs
        return falls(left, right) if self.left_first else falls(right, left)

    @property
    def fits(self) -> bool:
        """Whether what is multiplied first now, where both are constants, fits their type."""
        arrays = [facts.constant(v) for v in ((self.b, self.c) if self.left_first else (self.a, self.b))]
        known = [array for array in arrays if array is not None]
        if len(known) < len(arrays):
            return True
        with np.errstate(all="ignore"):
            product = np.matmul(*(array.astype(np.float64) for array in known))
        return representable(product, known[0].dtype)


class ReorderMatmulChain(Rule[Match]):
    """`(A B) C` becomes `A (B C)`, or the other way round, whichever takes fewer operations at every size.

    Matrix products are associative. Attention without a Softmax, (Q K^T) V, is the known case: K^T V is
    small, Q K^T is not. ROUNDS, as sums are taken in another order.
    """

    name = "reorder-matmul-chain"
    claim = Claim.ROUNDS
    root = "MatMul"
    requires = (
        Requires[Match]("representable", "the product of two constants overflows", lambda m: m.fits, costly=True),
    )
    pays = (
        Pays[Match]("sole-user", "the first product stays for its other users", lambda m: facts.sole_user(m.inner)),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the three factors where the other order is cheaper. Not of integers, which stay exact as they are."""
        x, y = node.inputs
        if x is None or y is None or not facts.is_float(node.outputs[0]):
            return None
        found = (_left(node, x, y), _right(node, x, y))
        return next((m for m in found if m is not None and m.same_batch and m.saves), None)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The products in the other order."""
        if m.left_first:
            return [tape.op("MatMul", [m.a, tape.op("MatMul", [m.b, m.c])])]
        return [tape.op("MatMul", [tape.op("MatMul", [m.a, m.b]), m.c])]


def _left(node: ir.Node, x: ir.Value, y: ir.Value) -> Match | None:
    product = producer_beside(x, node, "MatMul")
    a, b = product.inputs if product is not None else (None, None)
    return Match(a, b, y, x, True) if a is not None and b is not None else None


def _right(node: ir.Node, x: ir.Value, y: ir.Value) -> Match | None:
    product = producer_beside(y, node, "MatMul")
    b, c = product.inputs if product is not None else (None, None)
    return Match(x, b, c, y, False) if b is not None and c is not None else None
