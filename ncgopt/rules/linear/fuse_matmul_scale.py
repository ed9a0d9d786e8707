"""Let ONNX Runtime's FusedMatMul multiply its result by a number."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.linear import _fused_matmul
from ncgopt.rules.linear._fused_matmul import Product, Scaled
from ncgopt.settings import Target


@record
class Match:
    """`out = product * number`."""

    product: Product
    scaled: Scaled

    @property
    def alpha(self) -> float:
        """The factor of the whole."""
        return self.product.alpha * self.scaled.factor


class FuseMatmulScale(Rule[Match]):
    """`MatMul(a, b) * c` becomes ONNX Runtime's `FusedMatMul(a, b, alpha=c)`; divided by c, alpha is 1 / c.

    c is one finite number other than zero: at alpha 0 the kernel would not look at a and b.
    """

    name = "fuse-matmul-scale"
    claim = Claim.ROUNDS
    root = ("Mul", "Div")
    since_opset = 7
    targets = frozenset({Target.ONNXRUNTIME})
    closing = True
    requires = (
        Requires[Match](
            "no-broadcast", "a constant of higher rank enlarges the product", lambda m: m.scaled.keeps_shape
        ),
        Requires[Match](
            "single-precision",
            "alpha is a float32, which must hold the number",
            lambda m: _fused_matmul.is_factor(m.alpha, m.product.out),
        ),
    )
    pays = (Pays[Match]("sole-user", "the product would be computed twice", lambda m: facts.sole_user(m.product.out)),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind the product and the number."""
        for scaled in _fused_matmul.scalings(node):
            product = _fused_matmul.product_at(scaled.x, node)
            if product is not None:
                return Match(product, scaled)
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The product with the number in its factor."""
        return [m.product.build(tape, m.product.operands, m.alpha, m.product.flags)]
