"""Repeat a tensor after it was computed with, not before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.operands import ints_operand
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Rule, Tape

_UNARY = (
    "Abs", "Ceil", "Clip", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Mish",
    "Neg", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Softplus", "Softsign", "Sqrt", "Tanh",
)  # fmt: skip
_BINARY = ("Add", "Sub", "Mul", "Div", "Pow")


@record
class Match:
    """`node(Expand(x, target))`; input number `index` of the node is expanded.

    `target` is a constant where the result has another last axis, None where it stays what it is.
    """

    node: ir.Node
    expand: ir.Node
    index: int
    target: tuple[int, ...] | None


class ReorderExpand(Rule[Match]):
    """`f(Expand(x))` becomes `Expand(f(x))`, f elementwise, with a constant, or a product with a matrix; Tile likewise.

    The same numbers are computed once, then repeated; an Expand that meets a broadcasting operator
    goes altogether (`eliminate-expand-before-broadcast`). Constants must not vary along an axis that is
    expanded; of a product, the last axis must not be. ROUNDS, because a product of fewer rows may be
    summed in another order.
    """

    name = "reorder-expand"
    claim = Claim.ROUNDS
    root = (*_UNARY, *_BINARY, "MatMul")
    since_opset = 8
    unconditional = "equal operands give equal results; the pattern holds only what does not vary along the new axes"
    pays = (
        Pays[Match]("sole-user", "the tensor is repeated anyway", lambda m: facts.sole_user(m.expand.outputs[0])),
        Pays[Match]("expands", "as many elements as before", lambda m: _expands(m.expand)),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the Expand, and what the operator combines it with."""
        for index, value in enumerate(node.inputs[:2]):
            expand = producer_beside(value, node, "Expand", "Tile")
            if expand is None or expand.inputs[0] is None or value is None:
                continue
            if node.op_type == "MatMul":
                found = _of_product(node, expand) if index == 0 else None
            elif node.op_type in _BINARY:
                other = node.inputs[1 - index]
                found = Match(node, expand, index, None) if _is_constant_across(other, expand) else None
            else:
                found = Match(node, expand, index, None) if index == 0 else None
            if found is not None:
                return found
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The operator, then the Expand."""
        inputs = [m.expand.inputs[0] if k == m.index else v for k, v in enumerate(m.node.inputs)]
        made = tape.like(m.node, inputs)
        target = m.expand.inputs[1] if m.target is None else tape.constant(np.array(m.target, np.int64))
        return [tape.op(m.expand.op_type, [made, target])]


def _of_product(node: ir.Node, expand: ir.Node) -> Match | None:
    """The target with its last size left open, where the matrix has two axes and the target at least as many as x."""
    x, matrix, sizes = expand.inputs[0], node.inputs[1], ints_operand(expand, "", 1)
    if x is None or matrix is None or sizes is None or facts.rank(matrix) != 2:
        return None
    own, whole = facts.shape(x), facts.shape(expand.outputs[0])
    if own is None or whole is None or len(own) < 2 or own[-1] is None or own[-1] != whole[-1] or len(sizes) < 2:
        return None
    return Match(node, expand, 0, (*sizes[:-1], 1))


def _is_constant_across(other: ir.Value | None, expand: ir.Node) -> bool:
    """Whether the constant varies along no axis that is expanded, and enlarges nothing itself."""
    x = expand.inputs[0]
    if expand.op_type == "Tile" and (other is None or facts.known_size(other) != 1):
        return False
    if other is None or x is None or not facts.is_constant(other):
        return False
    return facts.is_broadcast_of(facts.shape(other), facts.shape(x))


def _expands(expand: ir.Node) -> bool:
    x = expand.inputs[0]
    return x is not None and not facts.same_shape(x, expand.outputs[0])
