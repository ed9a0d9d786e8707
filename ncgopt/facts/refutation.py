"""Which branch of an If must be the one that runs, because with the other the model would fail.

TorchScript exports ask `dim == 1 ? squeeze(x) : x`, and then feed the result, whose rank is unknown
with that, to an LSTM. That takes rank 3 and nothing else: whenever the model runs at all, the branch
that leads there has run. So each branch is assumed in turn, ranks are followed from there on, and a
branch under which an operator gets an operand that it must reject is not the one.

Only demands that the specification states and ONNX Runtime's kernels enforce are used, never a mere
complaint of shape inference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import onnx_ir as ir

from ncgopt.facts import attributes, conditions, constants, shapes, uses
from ncgopt.facts.conditions import branches_of

_SAME_RANK = frozenset({
    "Identity", "Cast", "Relu", "LeakyRelu", "Sigmoid", "Tanh", "Exp", "Log", "Sqrt", "Neg", "Abs", "Not", "Transpose",
    "Softmax", "LogSoftmax", "LayerNormalization", "BatchNormalization", "Clip", "Dropout",
})  # fmt: skip
# Operators whose first input has one rank and no other (specification; rnn_helpers.h and gemm.cc of
# ONNX Runtime throw for others).
_RANK_OF_FIRST: Mapping[str, int] = {"LSTM": 3, "GRU": 3, "RNN": 3, "Gemm": 2}


def forced_branch(node: ir.Node, branches: tuple[ir.Graph, ir.Graph], given: Mapping[ir.Value, bool]) -> bool | None:
    """What the condition of the If `node` must hold for the model to run; None where both may, or neither.

    Args:
        node: an If whose condition is not known.
        branches: its branches, first the one taken where the condition holds.
        given: conditions known where it stands.
    """
    condition, graph = node.inputs[0], node.graph
    if condition is None or not isinstance(graph, ir.Graph) or not _ranks_differ(branches):
        return None
    live = _live(graph)
    after = live[live.index(node) :] if node in live else []
    fails = [_Assumption({**given, condition: holds}).fails(after) for holds in (True, False)]
    return None if fails[0] == fails[1] else fails[1]


def _ranks_differ(branches: tuple[ir.Graph, ir.Graph]) -> bool:
    """Whether assuming either branch says more about ranks than is known anyway."""
    return any(shapes.rank(a) != shapes.rank(b) for a, b in zip(branches[0].outputs, branches[1].outputs, strict=True))


def _live(graph: ir.Graph) -> list[ir.Node]:
    """The nodes of `graph` that its outputs depend on; a runtime may leave out others."""
    wanted = set(graph.outputs)
    live: list[ir.Node] = []
    for node in reversed(list(graph)):
        if any(v in wanted for v in node.outputs):
            wanted.update(_read_by(node))
            live.append(node)
    return live[::-1]


def _read_by(node: ir.Node) -> Iterator[ir.Value]:
    yield from (v for v in node.inputs if v is not None)
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            inner = attribute.as_graph()
            yield from inner.outputs
            for n in inner:
                yield from _read_by(n)


class _Assumption:
    """Conditions that are taken to hold or not, and the ranks that follow."""

    def __init__(self, given: dict[ir.Value, bool]) -> None:
        self._given = given
        self._ranks: dict[ir.Value, int] = {}

    def fails(self, nodes: Iterable[ir.Node]) -> bool:
        """Whether one of `nodes`, all of which run, gets an operand that it must reject."""
        return any(self._rejects(node) or self._follow(node) for node in nodes)

    def _rank(self, value: ir.Value | None) -> int | None:
        return None if value is None else self._ranks.get(value, shapes.rank(value))

    def _rejects(self, node: ir.Node) -> bool:
        demanded = _RANK_OF_FIRST.get(node.op_type) if not node.domain else None
        rank = self._rank(uses.input_of(node, 0))
        return demanded is not None and rank is not None and rank != demanded

    def _follow(self, node: ir.Node) -> bool:
        """Note what `node` computes; True if that is impossible because a branch that it runs fails."""
        if node.domain or uses.is_kept(node) or not node.outputs:
            return False
        output = node.outputs[0]
        branches = branches_of(node)
        if branches is not None:
            holds = conditions.truth(node.inputs[0], self._given)
            return holds is not None and self._enter(node, branches[not holds])
        if (size := self._compared_rank(node)) is not None:
            self._given[output] = size
        elif shapes.rank(output) is None and (rank := self._output_rank(node)) is not None:
            self._ranks[output] = rank
        return False

    def _enter(self, node: ir.Node, branch: ir.Graph) -> bool:
        if self.fails(_live(branch)):
            return True
        for outer, inner in zip(node.outputs, branch.outputs, strict=True):
            rank = self._rank(inner)
            if rank is not None:
                self._ranks[outer] = rank
        return False

    def _output_rank(self, node: ir.Node) -> int | None:
        rank = self._rank(uses.input_of(node, 0))
        if rank is None or node.op_type in _SAME_RANK:
            return rank
        if node.op_type not in ("Squeeze", "Unsqueeze"):
            return None
        count = _axes_count(node)
        return None if count is None else rank + count if node.op_type == "Unsqueeze" else rank - count

    def _compared_rank(self, node: ir.Node) -> bool | None:
        """The outcome of `Equal(Size(Shape(x)), k)` where the rank of x is assumed."""
        if node.op_type != "Equal":
            return None
        for index in (0, 1):
            size = uses.producer(uses.input_of(node, index), "Size")
            shape = uses.producer(uses.input_of(size, 0), "Shape") if size is not None else None
            wanted = constants.scalar(uses.input_of(node, 1 - index))
            rank = self._rank(uses.input_of(shape, 0)) if shape is not None else None
            plain = shape is not None and not shape.attributes
            if rank is not None and wanted is not None and plain:
                return rank == wanted
        return None


def _axes_count(node: ir.Node) -> int | None:
    axes = attributes.ints_attribute(node, "axes")
    if axes is not None:
        return len(axes)
    given = uses.input_of(node, 1)
    size = shapes.known_size(given) if given is not None else None
    return size
