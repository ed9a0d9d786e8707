"""Let a Gemm read an operand transposed."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape


@record
class Match:
    """A Gemm whose input number `index` is transposed before."""

    gemm: ir.Node
    index: int
    transpose: ir.Node
    source: ir.Value
    flags: tuple[int, int]
    scales: tuple[float, float]

    @property
    def swaps(self) -> bool:
        """Whether rows and columns change places; without `perm` they do."""
        if not facts.is_set(self.transpose, "perm"):
            return True
        return facts.ints_attribute(self.transpose, "perm") == (1, 0)


class FoldTransposeIntoGemm(Rule[Match]):
    """`Gemm(Transpose(a), b, c)` becomes `Gemm(a, b, c, transA=1)`, and the same for b with transB.

    A flag that is already set is cleared: transposing twice changes nothing. Kernels may add up in
    another order.
    """

    name = "fold-transpose-into-gemm"
    claim = Claim.ROUNDS
    root = "Gemm"
    since_opset = 7
    requires = (Requires[Match]("swaps-both-dims", "perm = [0, 1] transposes nothing", lambda m: m.swaps),)
    pays = (
        Pays[Match]("sole-user", "the transposed copy stays anyway", lambda m: facts.sole_user(m.transpose.outputs[0])),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the operand that can be folded, else the first that is transposed at all."""
        left, right = facts.int_attribute(node, "transA"), facts.int_attribute(node, "transB")
        alpha, beta = facts.float_attribute(node, "alpha"), facts.float_attribute(node, "beta")
        if left is None or right is None or alpha is None or beta is None:
            return None
        found: list[Match] = []
        for index in (0, 1):
            transpose = producer_beside(node.inputs[index], node, "Transpose")
            source = transpose.inputs[0] if transpose is not None else None
            if transpose is not None and source is not None:
                found.append(Match(node, index, transpose, source, (left, right), (alpha, beta)))
        able = (m for m in found if m.swaps and facts.sole_user(m.transpose.outputs[0]))
        return next(able, found[0] if found else None)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The Gemm with one flag turned."""
        inputs, flags = list(m.gemm.inputs), list(m.flags)
        inputs[m.index], flags[m.index] = m.source, int(not flags[m.index])
        scales = {name: s for name, s in zip(("alpha", "beta"), m.scales, strict=True) if s != 1.0}
        turned = {name: f for name, f in zip(("transA", "transB"), flags, strict=True) if f}
        return [tape.op("Gemm", inputs, {**scales, **turned}, name=m.gemm.name)]
