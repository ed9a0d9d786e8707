"""Let ONNX Runtime's FusedMatMul multiply by the number that scales an operand."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.linear import _fused_matmul
from ncgopt.rules.linear._fused_matmul import Product, Scaled
from ncgopt.settings import Target


@record
class Match:
    """A product whose operand number `index` is a value times a number."""

    product: Product
    index: int
    scaled: Scaled

    @property
    def alpha(self) -> float:
        """The factor of the whole."""
        return self.product.alpha * self.scaled.factor

    @property
    def is_possible(self) -> bool:
        """Whether the operand keeps its shape without the factor, and the product can hold it."""
        return self.scaled.keeps_shape and _fused_matmul.is_factor(self.alpha, self.product.out)

    @property
    def is_private(self) -> bool:
        """Whether nothing else uses the scaled operand."""
        return facts.sole_user(self.scaled.root.outputs[0])


class FuseMatmulOperandScale(Rule[Match]):
    """`MatMul(a * c, b)` becomes ONNX Runtime's `FusedMatMul(a, b, alpha=c)`, and the same for b; also divided by c.

    Both sides of a score scaled by a root each are taken in one after the other. c is one finite number
    other than zero.
    """

    name = "fuse-matmul-operand-scale"
    claim = Claim.ROUNDS
    root = _fused_matmul.MATMULS
    targets = frozenset({Target.ONNXRUNTIME})
    closing = True
    requires = (
        Requires[Match](
            "no-broadcast", "a constant of higher rank enlarges the operand", lambda m: m.scaled.keeps_shape
        ),
        Requires[Match](
            "single-precision",
            "alpha is a float32, which must hold the number",
            lambda m: _fused_matmul.is_factor(m.alpha, m.product.out),
        ),
    )
    pays = (Pays[Match]("sole-user", "the scaled operand stays anyway", lambda m: m.is_private),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind the operand whose factor can be taken in, else the first that has one."""
        product = _fused_matmul.product(node)
        if product is None:
            return None
        found: list[Match] = []
        for index, operand in enumerate(product.operands):
            scaling = producer_beside(operand, node, "Mul", "Div")
            found += [Match(product, index, scaled) for scaled in _fused_matmul.scalings(scaling)]
        return next((m for m in found if m.is_possible and m.is_private), found[0] if found else None)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The product of the operand without its factor."""
        operands = list(m.product.operands)
        operands[m.index] = m.scaled.x
        return [m.product.build(tape, operands, m.alpha, m.product.flags)]
