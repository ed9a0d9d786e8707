"""Let ONNX Runtime's FusedMatMul read an operand transposed."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.linear import _fused_matmul
from ncgopt.rules.linear._fused_matmul import Product
from ncgopt.settings import Target


@record
class Match:
    """A product whose operand number `index` is transposed before."""

    product: Product
    index: int
    transpose: ir.Node
    source: ir.Value

    @property
    def swaps(self) -> bool:
        """Whether just the last two dims change places; without `perm` all dims are reversed."""
        perm = facts.ints_attribute(self.transpose, "perm")
        if not facts.is_set(self.transpose, "perm"):
            return facts.rank(self.source) == 2
        if perm is None or len(perm) < 2:
            return False
        rank = len(perm)
        return perm == (*range(rank - 2), rank - 1, rank - 2)


class FuseMatmulTranspose(Rule[Match]):
    """`MatMul(Transpose(a), b)` becomes ONNX Runtime's `FusedMatMul(a, b, transA=1)`, and the same for b with transB.

    The Transpose swaps the last two dims. A flag that is already set is cleared: transposing twice
    changes nothing. Kernels may add up in another order.
    """

    name = "fuse-matmul-transpose"
    claim = Claim.ROUNDS
    root = _fused_matmul.MATMULS
    targets = frozenset({Target.ONNXRUNTIME})
    closing = True
    requires = (Requires[Match]("swaps-last-dims", "the product transposes the last two dims only", lambda m: m.swaps),)
    pays = (
        Pays[Match]("sole-user", "the transposed copy stays anyway", lambda m: facts.sole_user(m.transpose.outputs[0])),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the operand that can be read transposed, else the first that is transposed at all."""
        product = _fused_matmul.product(node)
        if product is None:
            return None
        found: list[Match] = []
        for index, operand in enumerate(product.operands):
            transpose = producer_beside(operand, node, "Transpose")
            source = transpose.inputs[0] if transpose is not None else None
            if transpose is not None and source is not None:
                found.append(Match(product, index, transpose, source))
        able = (m for m in found if m.swaps and facts.sole_user(m.transpose.outputs[0]))
        return next(able, found[0] if found else None)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The product with one flag turned."""
        operands, flags = list(m.product.operands), list(m.product.flags)
        operands[m.index], flags[m.index] = m.source, not flags[m.index]
        return [m.product.build(tape, operands, m.product.alpha, flags)]
