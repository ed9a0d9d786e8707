"""Transpose a result once instead of every operand."""

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
    """`out = node(Transpose(x), Transpose(y), c, ...)`; `perms` are those of the Transposes."""

    node: ir.Node
    moved: tuple[int, ...]
    perms: tuple[Permutation, ...]
    transposed: tuple[ir.Value, ...]


class MergeTransposes(Rule[Match]):
    """`Add(Transpose(x), Transpose(y))` becomes `Transpose(Add(x, y))`, where both move the axes alike.

    The same for all elementwise operators and Concat; constants among the operands are stored in the
    other layout.
    """

    name = "merge-transposes"
    claim = Claim.EXACT
    root = (
        "Add", "And", "Concat", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean",
        "Min", "Mod", "Mul", "Or", "Pow", "PRelu", "Sub", "Sum", "Where", "Xor",
    )  # fmt: skip
    since_opset = 8
    requires = (Requires[Match]("same-permutation", "the operands' axes move apart", lambda m: len(set(m.perms)) == 1),)
    pays = (
        Pays[Match](
            "sole-user",
            "the Transposes stay for other users",
            lambda m: all(not v.is_graph_output() and all(u.node is m.node for u in v.uses()) for v in m.transposed),
        ),
        Pays[Match](
            "constants-of-its-own",
            "a constant that others use too would be stored twice",
            lambda m: all(_moves.may_permute_constant(v) for v in _constants(m)),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind two or more transposed operands, if all others are constants or scalars."""
        rank = facts.rank(node.outputs[0])
        found = {v: source for v in node.inputs if v is not None and (source := facts.producer(v, "Transpose"))}
        if len(found) < 2 or rank is None or any(source.graph is not node.graph for source in found.values()):
            return None
        moved = _moves.moved_operands(node, rank)
        perms = tuple(p for p in (permutation(source, rank) for source in found.values()) if p is not None)
        if moved is None or len(perms) != len(found):
            return None
        others = [node.inputs[index] for index in moved if node.inputs[index] not in found]
        return Match(node, moved, perms, tuple(found)) if all(facts.is_constant(v) for v in others) else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The operator on what was transposed, then the Transpose."""
        perm = m.perms[0]
        back = _moves.inverse(perm)
        inputs = list(m.node.inputs)
        for index in m.moved:
            value = inputs[index]
            assert value is not None
            source = facts.producer(value, "Transpose")
            inputs[index] = source.inputs[0] if source is not None else _moves.permuted_constant(tape, value, back)
        return [tape.op("Transpose", [_moves.permuted(tape, m.node, inputs, back)], {"perm": perm})]


def _constants(m: Match) -> list[ir.Value]:
    values = [m.node.inputs[index] for index in m.moved]
    return [v for v in values if v is not None and facts.is_constant(v)]
