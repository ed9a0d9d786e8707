"""Add the bias where the product of integers is scaled."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.quantized._parameters import columns
from ncgopt.settings import Target

# Where each operator takes its bias.
_BIAS = {"MatMulIntegerToFloat": 6, "DynamicQuantizeMatMul": 4}


@record
class Match:
    """`out = product(a, b, ...) + bias`, in either order."""

    product: ir.Node
    bias: ir.Value


class FuseIntegerMatmulBias(Rule[Match]):
    """`MatMulIntegerToFloat(...) + bias` and `DynamicQuantizeMatMul(...) + bias` take the bias in."""

    name = "fuse-integer-matmul-bias"
    claim = Claim.ROUNDS
    root = "Add"
    since_opset = 7
    targets = frozenset({Target.ONNXRUNTIME})
    requires = (
        Requires[Match](
            "bias-per-column",
            "the kernel reads one number per column, whatever the shape",
            lambda m: (n := columns(_matrix(m))) is not None and facts.static(m.bias) == (n,),
        ),
        Requires[Match](
            "flat-parameters",
            "beside a scale of higher rank the kernel adds the bias twice",
            lambda m: all(facts.rank(v) in (0, 1) for v in m.product.inputs[2:] if v is not None),
        ),
    )
    pays = (Pays[Match]("sole-user", "it would be computed twice", lambda m: facts.sole_user(m.product.outputs[0])),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind the product that has no bias yet, in either order."""
        for one, bias in (node.inputs, reversed(node.inputs)):
            product = producer_beside(one, node, *(f"com.microsoft::{name}" for name in _BIAS))
            if product is not None and bias is not None and facts.input_of(product, _BIAS[product.op_type]) is None:
                return Match(product, bias)
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The same product with its bias."""
        inputs = [*m.product.inputs, *[None] * (_BIAS[m.product.op_type] - len(m.product.inputs)), m.bias]
        return [tape.like(m.product, inputs)]


def _matrix(m: Match) -> ir.Value:
    matrix = m.product.inputs[1]
    assert matrix is not None
    return matrix
