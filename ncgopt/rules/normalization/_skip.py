"""A normalization of the sum of two values, which ONNX Runtime has operators for (docs/ContribOperators.md).

Their kernels for CPUs are slower than an Add and a normalization. Measured with ONNX Runtime 1.32, 1 and
2 threads, 32 to 512 rows of 256 and 768: SkipLayerNormalization takes 2.5 to 5 times, with 512 rows of
768 up to 9 times as long; SkipSimplifiedLayerNormalization 1.2 to 2 times.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Pays, Requires, Tape

SLOWER = "on CPUs its kernel is slower than the Add and the normalization that it replaces"


@record
class Match:
    """`root` normalizes `x + skip` over the last axis.

    Attributes:
        parameters: scale, and bias where there is one.
        epsilon: what is added to the variance.
    """

    root: ir.Node
    sum: ir.Value
    x: ir.Value
    skip: ir.Value
    parameters: tuple[ir.Value, ...]
    epsilon: float

    @property
    def is_served(self) -> bool:
        """Whether the kernel takes the operands: three dims, of the same sizes."""
        return facts.rank(self.x) == 3 and facts.same_shape(self.x, self.skip)

    @property
    def is_over_last_axis(self) -> bool:
        """Whether just the last axis is normalized."""
        axis = facts.int_attribute(self.root, "axis") if facts.is_set(self.root, "axis") else -1
        return axis in (-1, 2)


REQUIRES = (
    Requires[Match]("same-shape", "the kernel takes three dims, of the same sizes", lambda m: m.is_served),
    Requires[Match]("last-axis", "the kernel normalizes the last axis", lambda m: m.is_over_last_axis),
)
PAYS = (Pays[Match]("sole-user", "the sum stays anyway", lambda m: facts.sole_user(m.sum)),)


def match(root: ir.Node) -> Match | None:
    """Bind what is added, and the parameters."""
    total, scale, bias = (facts.input_of(root, k) for k in range(3))
    add = producer_beside(total, root, "Add")
    epsilon = facts.float_attribute(root, "epsilon") if facts.is_set(root, "epsilon") else 1e-5
    if total is None or scale is None or add is None or epsilon is None or len(root.outputs) != 1:
        return None
    x, skip = add.inputs
    if x is None or skip is None or facts.dtype(total) != ir.DataType.FLOAT:
        return None
    return Match(root, total, x, skip, (scale,) if bias is None else (scale, bias), epsilon)


def build(tape: Tape, m: Match, op_type: str) -> Sequence[ir.Value]:
    """Record the operator."""
    return [tape.op(op_type, [m.x, m.skip, *m.parameters], {"epsilon": m.epsilon}, domain="com.microsoft")]
