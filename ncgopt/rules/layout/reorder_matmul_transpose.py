"""Multiply the other way round instead of transposing before and after."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.layout import _moves
from ncgopt.rules.layout._moves import Permutation
from ncgopt.rules.shape._permutations import permutation


@record
class Match:
    """`out = Transpose(MatMul(a, b), perm)`, both of the result's rank."""

    perm: Permutation
    product: ir.Value
    a: ir.Value
    b: ir.Value


class ReorderMatmulTranspose(Rule[Match]):
    """`Transpose(MatMul(C, Transpose(x)))` becomes `MatMul(x, C')`, C' the constant transposed.

    (AB)ᵀ is BᵀAᵀ. A factor that is a Transpose or a constant costs nothing to transpose; of the others
    one may be transposed instead of the product, if nodes get fewer all the same. ROUNDS, because
    kernels may add in another order.
    """

    name = "reorder-matmul-transpose"
    claim = Claim.ROUNDS
    root = "Transpose"
    requires = (Requires[Match]("swaps-last-two", "batch axes move", lambda m: m.perm == _swap(len(m.perm))),)
    pays = (
        Pays[Match]("sole-user", "the product stays for its other users", lambda m: facts.sole_user(m.product)),
        Pays[Match]("fewer-nodes", "as many Transposes come in elsewhere", lambda m: sum(map(_cost, (m.a, m.b))) < 1),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the factors."""
        product = facts.input_of(node, 0)
        matmul, perm = facts.producer(product, "MatMul"), permutation(node)
        if matmul is None or product is None or perm is None or len(matmul.inputs) != 2:
            return None
        a, b = matmul.inputs
        if a is None or b is None or facts.rank(a) != len(perm) or facts.rank(b) != len(perm):
            return None
        return Match(perm, product, a, b)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The product of the transposed factors."""
        swap = _swap(len(m.perm))
        return [tape.op("MatMul", [_swapped(tape, m.b, swap), _swapped(tape, m.a, swap)])]


def _swap(rank: int) -> Permutation:
    return (*range(rank - 2), rank - 1, rank - 2)


def _cost(factor: ir.Value) -> int:
    """Nodes that its transpose takes, or frees (-1)."""
    if facts.is_constant(factor):
        return 0 if _moves.may_permute_constant(factor) else 1
    if _source(factor) is not None:
        return -1 if facts.sole_user(factor) else 0
    return 1


def _source(factor: ir.Value) -> ir.Value | None:
    """What was transposed to give `factor`, by swapping its last two axes."""
    node, rank = facts.producer(factor, "Transpose"), facts.rank(factor)
    if node is None or rank is None or permutation(node, rank) != _swap(rank):
        return None
    return node.inputs[0]


def _swapped(tape: Tape, factor: ir.Value, swap: Permutation) -> ir.Value:
    source = _source(factor)
    if source is not None:
        return source
    if facts.is_constant(factor) and _moves.may_permute_constant(factor):
        return _moves.permuted_constant(tape, factor, swap)
    return tape.op("Transpose", [factor], {"perm": swap})
