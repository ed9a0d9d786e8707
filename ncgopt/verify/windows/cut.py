"""Where two models are known by name to agree, and the windows between such places.

A value that both models compute under one name is an *anchor*: a hypothesis that both are equal. A
result's node is *unchanged* where the original has the same node, reading the same anchors and equal
constants: if what it reads is equal, so is what it computes, and nothing has to be run to see that.
Around every other node that computes an anchor lies a *window*: on each side, the nodes between the
anchor and those before it. If in every window both sides compute the same of the same, then by
induction over the result's order all anchors are equal, the model's outputs among them.

A wrong hypothesis (another value under an old name) shows as a window that fails by far; leaving that
anchor out makes the windows behind it larger, and those have to agree. A window that fails by little is
taken for what it looks like: a wrong rewrite, though what follows may hide it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

import onnx_ir as ir

from ncgopt.verify.windows.numbering import Numbering
from ncgopt.verify.windows.piece import Piece, piece_of
from ncgopt.verify.windows.side import Side, inputs_of, same_tensor


@dataclass(frozen=True)
class Window:
    """The two ways in which some anchors are computed of the anchors before them.

    Attributes:
        targets: names of the values compared.
        original, result: the two pieces; each may read anchors that the other does not.
        aliases: of inputs that are equal, all but the first, with the name of that.
    """

    targets: tuple[str, ...]
    original: Piece
    result: Piece
    aliases: Mapping[str, str]

    @property
    def frontier(self) -> tuple[str, ...]:
        """Names of what goes into either piece."""
        return tuple(dict.fromkeys((*self.original.inputs, *self.result.inputs)))

    @property
    def size(self) -> int:
        """Nodes on both sides."""
        return len(self.original.nodes) + len(self.result.nodes)

    @property
    def bytes(self) -> int:
        """Bytes of weights of the larger side; one is in memory at a time."""
        return max(self.original.bytes, self.result.bytes)

    @property
    def key(self) -> tuple[tuple[str, ...], frozenset[str], int]:
        """Equal for windows of the same pair of sides that are the same."""
        return self.targets, frozenset(self.frontier), self.size


@dataclass
class Cutter:
    """Two models laid beside each other.

    Attributes:
        original, result: the models.
        anchors: names that nodes compute on both sides.
        inputs: names of the inputs of the original.
        unchanged: how many nodes of the result the original has too.
    """

    original: Side
    result: Side
    anchors: set[str] = field(default_factory=set[str])
    inputs: set[str] = field(default_factory=set[str])
    _same: dict[tuple[ir.Value, ir.Value], bool] = field(default_factory=dict[tuple[ir.Value, ir.Value], bool])

    def __post_init__(self) -> None:
        computed = [
            {name for name, value in side.values.items() if side.producer(value) is not None}
            for side in (self.original, self.result)
        ]
        self.anchors = computed[0] & computed[1]
        self._numbers = Numbering(self.original)
        self.inputs = {value.name or "" for value in self.original.model.graph.inputs}
        self._functions = self.original.functions == self.result.functions
        self._opsets = dict(self.original.model.graph.opset_imports), dict(self.result.model.graph.opset_imports)

    def windows(self, dropped: Collection[str] = ()) -> tuple[list[Window], int]:
        """All windows, in the result's order, and the number of nodes that need none.

        Args:
            dropped: anchors that are none after all.
        """
        anchors = self.anchors - set(dropped)
        wanted = {value.name or "" for value in self.result.model.graph.outputs}
        reached = self._reached()
        found: list[Window] = []
        unchanged = 0
        for node in self.result.nodes:
            if node not in reached:
                continue
            if self._is_unchanged(node, anchors):
                unchanged += 1
                continue
            names = [v.name or "" for v in node.outputs if v.name in anchors and (v.uses() or v.name in wanted)]
            if names:
                found.append(self.window(names, anchors | self.inputs))
        found += [self.window([name], anchors | self.inputs) for name in wanted if not self._is_settled(name, anchors)]
        return found, unchanged

    def window(self, targets: Iterable[str], stops: Collection[str]) -> Window:
        """The window of such targets, back to the nearest `stops` (names of anchors and inputs)."""
        names = tuple(targets)
        result = cone(self.result, names, lambda value: (value.name or "") in stops)
        given = 0
        fed: set[int] = set()
        for name in result.inputs:
            value = self.original.values[name]
            fed.add(self._numbers.of(value))
            producer = self.original.producer(value)
            given |= 1 << self.original.place[producer] if producer is not None else 0

        def stop(value: ir.Value) -> bool:
            if self._numbers.of(value) in fed:
                return True
            # An anchor that depends on what the window is given has to be computed of that, or the two contradict.
            return (value.name or "") in stops and not self.original.depends_on(value) & given

        original = cone(self.original, names, stop)
        names_of: dict[int, str] = {}
        aliases: dict[str, str] = {}
        for name in dict.fromkeys((*result.inputs, *original.inputs)):
            double = names_of.setdefault(self._numbers.of(self.original.values[name]), name)
            if double != name:
                aliases[name] = double
        return Window(names, original, result, aliases)

    def _reached(self) -> set[ir.Node]:
        """Nodes of the result that its outputs depend on."""
        mask = 0
        for value in self.result.model.graph.outputs:
            mask |= self.result.depends_on(value)
        return {node for place, node in enumerate(self.result.nodes) if mask >> place & 1}

    def _is_settled(self, name: str, anchors: Collection[str]) -> bool:
        """Whether an output has a window, is unchanged, or is the same input or constant on both sides."""
        return name in anchors or self._equal(self.original.values[name], self.result.values[name], anchors)

    def _is_unchanged(self, node: ir.Node, anchors: Collection[str]) -> bool:
        first = next((value.name for value in node.outputs if value.name), "")
        if first not in anchors:
            return False
        twin = self.original.producer(self.original.values[first])
        if twin is None or [v.name for v in twin.outputs] != [v.name for v in node.outputs]:
            return False
        if self._opsets[0].get(node.domain) != self._opsets[1].get(node.domain):
            return False
        called = (self.original.functions.keys() | self.result.functions.keys()) - {None}
        if called and not self._functions and self._may_call(node, called):
            return False
        left, right = inputs_of(twin), inputs_of(node)
        if len(left) != len(right) or self.original.text(twin) != self.result.text(node):
            return False
        pairs = [*zip(twin.inputs, node.inputs, strict=True), *zip(left, right, strict=True)]
        return all(a is None or b is None or self._equal(a, b, anchors) for a, b in pairs)

    def _equal(self, a: ir.Value, b: ir.Value, anchors: Collection[str]) -> bool:
        """Whether two values are equal by hypothesis, as inputs, or as constants."""
        if a.name == b.name and (a.name in anchors or (a.is_graph_input() and b.is_graph_input())):
            return True
        if a.is_graph_input() or b.is_graph_input():
            return False
        if (a, b) not in self._same:
            left, right = self.original.tensor(a), self.result.tensor(b)
            self._same[a, b] = left is not None and right is not None and same_tensor(left, right)
        return self._same[a, b]

    def _may_call(self, node: ir.Node, called: Collection[ir.OperatorIdentifier]) -> bool:
        return node.op_identifier() in called or any(
            attribute.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
            for attribute in node.attributes.values()
        )


def cone(side: Side, targets: tuple[str, ...], stop: Callable[[ir.Value], bool]) -> Piece:
    """What computes the targets, back to values for which `stop` holds."""
    nodes: dict[ir.Node, None] = {}
    pending = [node for name in targets if (node := side.producer(side.values[name])) is not None]
    while pending:
        node = pending.pop()
        if node in nodes:
            continue
        nodes[node] = None
        for value in inputs_of(node):
            producer = side.producer(value)
            if producer is not None and not stop(value):
                pending.append(producer)
    return piece_of(side, nodes, targets)
