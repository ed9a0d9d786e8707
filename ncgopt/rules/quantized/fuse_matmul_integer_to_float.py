"""Scale the product of integers where it is computed."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.interior import is_closed
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.quantized._parameters import columns, is_per_column, is_single
from ncgopt.settings import Target


@record
class Match:
    """`out = Cast(MatMulInteger(a, b, ...)) * (a_scale * b_scale)`, each product in either order."""

    root: ir.Node
    nodes: tuple[ir.Node, ...]
    a: ir.Value
    b: ir.Value
    a_scale: ir.Value
    b_scale: ir.Value
    a_zero_point: ir.Value | None
    b_zero_point: ir.Value | None


class FuseMatmulIntegerToFloat(Rule[Match]):
    """`Cast(MatMulInteger(a, b)) * (a_scale * b_scale)` becomes ONNX Runtime's `MatMulIntegerToFloat`.

    The integers are the same, and so is the product of the scales; whether the last multiplication
    is fused with an addition depends on the kernel (ONNX Runtime, dynamic_quantize_matmul.cc).
    """

    name = "fuse-matmul-integer-to-float"
    claim = Claim.ROUNDS
    root = "Mul"
    since_opset = 7
    targets = frozenset({Target.ONNXRUNTIME})
    requires = (
        Requires[Match](
            "known-columns", "a scale may enlarge a vector or an unknown matrix", lambda m: columns(m.b) is not None
        ),
        Requires[Match]("single-scale", "the kernel takes one scale for a", lambda m: is_single(m.a_scale)),
        Requires[Match]("scale-per-column", "the kernel takes a vector", lambda m: is_per_column(m.b_scale, m.b)),
        Requires[Match]("single-zero-point", "the kernel takes one for a", lambda m: is_single(m.a_zero_point)),
        Requires[Match](
            "zero-point-per-column", "the kernel takes a vector", lambda m: is_per_column(m.b_zero_point, m.b)
        ),
    )
    pays = (Pays[Match]("sole-user", "the product would be computed twice", lambda m: is_closed(m.nodes, m.root)),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind the integer product and the product of the scales, in either order."""
        for one, other in (node.inputs, reversed(node.inputs)):
            cast, scales = producer_beside(one, node, "Cast"), producer_beside(other, node, "Mul")
            if cast is None or scales is None or facts.int_attribute(cast, "to") != ir.DataType.FLOAT:
                continue
            product = producer_beside(cast.inputs[0], node, "MatMulInteger")
            if product is None or product.inputs[0] is None or product.inputs[1] is None:
                continue
            a, b = product.inputs[0], product.inputs[1]
            a_zero_point, b_zero_point = facts.input_of(product, 2), facts.input_of(product, 3)
            a_scale, b_scale = _by_owner(a, scales.inputs[0], scales.inputs[1])
            if a_scale is not None and b_scale is not None:
                nodes = (product, cast, scales)
                return Match(node, nodes, a, b, a_scale, b_scale, a_zero_point, b_zero_point)
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One MatMulIntegerToFloat."""
        inputs = [m.a, m.b, m.a_scale, m.b_scale, m.a_zero_point, m.b_zero_point]
        return [tape.op("MatMulIntegerToFloat", inputs, domain="com.microsoft")]


def _by_owner(a: ir.Value, one: ir.Value | None, other: ir.Value | None) -> tuple[ir.Value | None, ir.Value | None]:
    """The scales as that of `a` and the other; where neither is known to be its own, a single one will do."""
    if one is None or other is None:
        return None, None
    quantize = facts.producer(a, "DynamicQuantizeLinear")
    own = quantize.outputs[1] if quantize is not None else None
    swapped = other is own or (one is not own and not is_single(one))
    return (other, one) if swapped else (one, other)
