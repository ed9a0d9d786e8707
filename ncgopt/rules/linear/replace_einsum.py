"""Write an Einsum that is a product of matrices as MatMul."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Rule, Tape


@record
class Match:
    """`Einsum(a, b)`: both `[batch..., rows, columns]` once the axes named here are swapped.

    Attributes:
        swaps_a, swaps_b: whether the last two axes of an operand come in the other order.
        swaps_out: whether those of the result do.
    """

    a: ir.Value
    b: ir.Value
    ranks: tuple[int, int]
    swaps_a: bool
    swaps_b: bool
    swaps_out: bool


class ReplaceEinsum(Rule[Match]):
    """`Einsum("bij,bjk->bik", a, b)` becomes `MatMul(a, b)`, with a Transpose where an operand lies the other way.

    Of two operands that are summed over one index, with one index of their own each (the first may have
    more, if the second is a matrix) and the others in the same order in both. ONNX Runtime's Einsum
    transposes in general and then multiplies; transposes of a MatMul are known to other rules. ROUNDS,
    as sums may be taken in another order.
    """

    name = "replace-einsum"
    claim = Claim.ROUNDS
    root = "Einsum"
    unconditional = "the indices say the same sum of products; the pattern holds no index that broadcasts or repeats"

    def match(self, node: ir.Node) -> Match | None:
        """Bind the operands of an equation that is a product of matrices."""
        equation = facts.string_attribute(node, "equation")
        if equation is None or len(node.inputs) != 2:
            return None
        a, b = node.inputs
        left, _, out = equation.replace(" ", "").partition("->")
        terms = left.split(",")
        if a is None or b is None or len(terms) != 2 or not out or "." in equation or not facts.is_float(a):
            return None
        if any(len(set(term)) != len(term) for term in (*terms, out)):
            return None
        if facts.rank(a) != len(terms[0]) or facts.rank(b) != len(terms[1]):
            return None
        if not _same_sizes(a, terms[0], b, terms[1]):
            return None
        plan = _plan(terms[0], terms[1], out)
        return None if plan is None else Match(a, b, (len(terms[0]), len(terms[1])), *plan)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One MatMul, and what Transposes it takes."""
        a = _swapped(tape, m.a, m.ranks[0]) if m.swaps_a else m.a
        b = _swapped(tape, m.b, m.ranks[1]) if m.swaps_b else m.b
        product = tape.op("MatMul", [a, b])
        return [_swapped(tape, product, m.ranks[0]) if m.swaps_out else product]


def _swapped(tape: Tape, value: ir.Value, rank: int) -> ir.Value:
    return tape.op("Transpose", [value], {"perm": (*range(rank - 2), rank - 1, rank - 2)})


def _same_sizes(a: ir.Value, left: str, b: ir.Value, right: str) -> bool:
    """Whether indices of both have known, equal sizes: runtimes broadcast one of 1, of which MatMul does less."""
    sizes = dict(zip(left, facts.shape(a) or (), strict=False))
    others = dict(zip(right, facts.shape(b) or (), strict=False))
    return all(sizes[i] is not None and sizes[i] == others[i] for i in sizes.keys() & others.keys())


def _plan(left: str, right: str, out: str) -> tuple[bool, bool, bool] | None:
    """Which of the operands and the result have their last two axes swapped; None where it is no such product."""
    summed = [i for i in left if i in right and i not in out]
    batch = [i for i in left if i in right and i in out]
    own = ([i for i in left if i not in right], [i for i in right if i not in left])
    if len(summed) != 1 or len(own[1]) != 1 or sorted(out) != sorted([*batch, *own[0], *own[1]]):
        return None
    k, n, prefix = summed[0], own[1][0], "".join(batch)
    if not batch and len(own[0]) > 1:
        rows = "".join(own[0])
        plain = left == rows + k and out == rows + n
        return (False, right == n + k, False) if plain and right in (k + n, n + k) else None
    if len(own[0]) != 1:
        return None
    m = own[0][0]
    if left not in (prefix + m + k, prefix + k + m) or right not in (prefix + k + n, prefix + n + k):
        return None
    if out not in (prefix + m + n, prefix + n + m):
        return None
    return left == prefix + k + m, right == prefix + n + k, out == prefix + n + m
