"""Remove Transposes that undo each other across elementwise operators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Rule, Tape
from ncgopt.rules.layout import _moves
from ncgopt.rules.layout._moves import Permutation
from ncgopt.rules.shape._permutations import permutation

_MAX_REGION = 40


@record
class Match:
    """`root = Transpose(region, perm)`: operators that nothing else uses, each with the inputs that move with it.

    `leaves` are what flows into the region; `freed` the Transposes that only it uses.
    """

    root: ir.Node
    perm: Permutation
    region: dict[ir.Node, tuple[int, ...]]
    leaves: tuple[ir.Value, ...]
    freed: int

    @property
    def added(self) -> int:
        """Transposes that other leaves need now."""
        return sum(_undone(v, self.perm) is None and not facts.is_constant(v) for v in self.leaves)


class EliminateOppositeTransposes(Rule[Match]):
    """`Transpose(Relu(Add(Transpose(x, p), c)), q)`, where q undoes p, becomes `Relu(Add(x, c'))`.

    Elementwise operators and Concat do the same in every layout. The rewrite takes all of them between
    the last Transpose and the first ones; constants are stored in the other layout, and what else
    flows in is transposed there, as long as nodes get fewer.
    """

    name = "eliminate-opposite-transposes"
    claim = Claim.EXACT
    root = "Transpose"
    unconditional = "elementwise operators and Concat do the same to permuted tensors"
    pays = (
        Pays[Match]("fewer-nodes", "as many Transposes come in elsewhere", lambda m: m.added < 1 + m.freed),
        Pays[Match](
            "constants-of-its-own",
            "a constant that others use too would be stored twice",
            lambda m: all(not facts.is_constant(v) or _moves.may_permute_constant(v) for v in m.leaves),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind everything upwards that a Transpose comes out of."""
        perm = permutation(node)
        if perm is None or _moves.is_identity(perm):
            return None
        region = _closed(node, _grown(node, len(perm)), perm)
        if not region:
            return None
        moved = [n.inputs[index] for n, indices in region.items() for index in indices]
        leaves = tuple({v: None for v in moved if v is not None and v.producer() not in region})
        inside = {node, *region}
        freed = sum(
            _undone(v, perm) is not None and not v.is_graph_output() and all(use.node in inside for use in v.uses())
            for v in leaves
        )
        return Match(node, perm, region, leaves, freed)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The operators on what came before the first Transposes."""
        made: dict[ir.Value, ir.Value] = {}
        for leaf in m.leaves:
            undone = _undone(leaf, m.perm)
            if undone is not None:
                made[leaf] = undone
            elif facts.is_constant(leaf):
                made[leaf] = _moves.permuted_constant(tape, leaf, m.perm)
            else:
                made[leaf] = tape.op("Transpose", [leaf], {"perm": m.perm})
        for node in _in_order(m):
            moved = m.region[node]
            inputs = [made[v] if i in moved and v is not None else v for i, v in enumerate(node.inputs)]
            made[node.outputs[0]] = _moves.permuted(tape, node, inputs, m.perm)
        last = m.root.inputs[0]
        assert last is not None
        return [made[last]]


def _undone(value: ir.Value, perm: Permutation) -> ir.Value | None:
    """What was transposed to give `value`, if transposing by `perm` gives that again."""
    node = facts.producer(value, "Transpose")
    first = permutation(node, len(perm)) if node is not None else None
    if node is None or first is None or len(first) != len(perm) or not _moves.is_identity(_moves.composed(first, perm)):
        return None
    return node.inputs[0]


def _grown(root: ir.Node, rank: int) -> dict[ir.Node, tuple[int, ...]]:
    """Operators above `root` that let a permutation through and that nothing else uses."""
    region: dict[ir.Node, tuple[int, ...]] = {}
    pending, waiting = [root.inputs[0]], list[ir.Value | None]()
    while pending and len(region) < _MAX_REGION:
        value = pending.pop()
        node = facts.producer(value)
        if node is None or value is None or node in region or node.graph is not root.graph or value.is_graph_output():
            continue
        if any(use.node is not root and use.node not in region for use in value.uses()):
            waiting.append(value)  # until its other users are inside as well
            continue
        moved = _moves.moved_operands(node, rank)
        if moved is None:
            continue
        region[node] = moved
        pending += [node.inputs[index] for index in moved] + waiting
        waiting = []
    return region


def _closed(root: ir.Node, region: dict[ir.Node, tuple[int, ...]], perm: Permutation) -> dict[ir.Node, tuple[int, ...]]:
    """Only the operators on a way from a Transpose that is undone down to `root`."""
    useful: set[ir.Node] = set()
    # A node enters the region only after its users, so that backwards everything comes after what it uses.
    for node in reversed(region):
        above = [node.inputs[index] for index in region[node]]
        if any(v is not None and (v.producer() in useful or _undone(v, perm) is not None) for v in above):
            useful.add(node)
    first = facts.producer(root.inputs[0])
    return {node: moved for node, moved in region.items() if node in useful} if first in useful else {}


def _in_order(m: Match) -> Iterator[ir.Node]:
    return reversed(m.region)
