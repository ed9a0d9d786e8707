"""Fuse a matrix product and the addition of a bias into a Gemm."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape

# What ONNX Runtime's CPU provider has Gemm kernels for; its MatMul also takes integers.
_KERNELS = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16})


@record
class Match:
    """`out = MatMul(a, b) + c`, in either order."""

    product: ir.Value
    a: ir.Value
    b: ir.Value
    c: ir.Value


class FuseMatmulAdd(Rule[Match]):
    """`MatMul(a, b) + c` becomes `Gemm(a, b, c)`, where a and b are matrices.

    Gemm broadcasts c to the product but never the product to c. The kernel starts its sums from c, so
    they are rounded in another order.
    """

    name = "fuse-matmul-add"
    claim = Claim.ROUNDS
    root = "Add"
    since_opset = 7
    requires = (
        Requires[Match](
            "gemm-kernel", "no runtime multiplies integers in Gemm", lambda m: facts.dtype(m.a) in _KERNELS
        ),
        Requires[Match](
            "rank-two", "Gemm takes matrices only", lambda m: facts.rank(m.a) == 2 and facts.rank(m.b) == 2
        ),
        Requires[Match](
            "no-broadcast",
            "a larger c enlarges the product",
            lambda m: facts.is_broadcast_of(facts.shape(m.c), facts.shape(m.product)),
        ),
    )
    pays = (Pays[Match]("sole-user", "the product would be computed twice", lambda m: facts.sole_user(m.product)),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind the first operand that is a matrix product; the other one is the bias."""
        left, right = node.inputs
        for product, c in ((left, right), (right, left)):
            matmul = producer_beside(product, node, "MatMul")
            if matmul is None or c is None:
                continue
            a, b = matmul.inputs
            if a is not None and b is not None:
                return Match(matmul.outputs[0], a, b, c)
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One Gemm."""
        return [tape.op("Gemm", [m.a, m.b, m.c])]
