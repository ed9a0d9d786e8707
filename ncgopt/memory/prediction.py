"""How much memory a run takes at each step, and which values it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnx import GraphProto, NodeProto

from ncgopt.facts import Dim, symbols
from ncgopt.facts.polynomials import polynomial
from ncgopt.memory import kernels
from ncgopt.memory.executed import Size
from ncgopt.memory.plan import buffers
from ncgopt.memory.schedule import bodies, reads


@dataclass(frozen=True)
class Step:
    """One node, and what is held while it runs.

    Attributes:
        operator: `domain::op` outside the default domain.
        node: its name, or that of its first output.
        bytes: of all buffers that are there, those inside its subgraphs included.
        workspace: bytes that its kernel takes for itself, as far as that is known.
    """

    operator: str
    node: str
    bytes: int
    workspace: int = 0

    @property
    def total(self) -> int:
        """Everything that the step takes."""
        return self.bytes + self.workspace


@dataclass(frozen=True)
class Held:
    """A buffer: the value it was made for, the operator that made it, its bytes, and from which to which step it is."""

    value: str
    operator: str
    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Prediction:
    """What one run holds beside weights and inputs.

    Attributes:
        steps: the nodes in the order of execution.
        buffers: all buffers, the largest first.
        unknown: values whose size is not known; they count as nothing.
    """

    steps: tuple[Step, ...]
    buffers: tuple[Held, ...]
    unknown: tuple[str, ...]

    @property
    def peak(self) -> int:
        """The step that takes most; -1 for a graph without nodes."""
        return max(range(len(self.steps)), key=lambda step: self.steps[step].total, default=-1)

    @property
    def peak_bytes(self) -> int:
        """Bytes of that step."""
        return self.steps[self.peak].total if self.steps else 0

    def alive(self, step: int) -> list[Held]:
        """The buffers that are there at a step, the largest first."""
        return [held for held in self.buffers if held.first <= step <= held.last]


def predict(
    graph: GraphProto, nodes: Sequence[NodeProto], symbolic: Mapping[str, Size], bound: Mapping[str, Size]
) -> Prediction:
    """The memory that executing the nodes in this order takes.

    Of an If the branch counts that takes more, of a loop one round, with what it hands to the next.

    Args:
        graph: what ONNX Runtime executes (`executed`).
        nodes: its nodes in the order of execution.
        symbolic: sizes of the values of all graphs over the symbols of the inputs.
        bound: the same at one binding; those that are no numbers count as unknown.
    """
    found = buffers(graph, nodes, symbolic)
    known = {name: size.bytes for name, size in bound.items() if isinstance(size.bytes, int)}
    held = [
        Held(b.name, _operator(nodes[b.first]), max(known.get(name, 0) for name in b.values), b.first, b.last)
        for b in found
    ]
    changes = [0] * (len(nodes) + 2)
    for one in held:
        changes[one.first] += one.bytes
        changes[one.last + 1] -= one.bytes
    steps: list[Step] = []
    total = 0
    for node, change in zip(nodes, changes, strict=False):
        total += change
        inner = max((_inside(body, symbolic, known) for body in bodies(node)), default=0)
        space = kernels.workspace(node, known.get(node.output[0], 0) if node.output else 0)
        steps.append(Step(_operator(node), node.name or node.output[0], total + inner, space))
    unknown = [name for b in found for name in b.values if name not in known]
    return Prediction(tuple(steps), tuple(sorted(held, key=lambda one: -one.bytes)), tuple(unknown))


def _inside(body: GraphProto, sizes: Mapping[str, Size], known: Mapping[str, int]) -> int:
    """What a run of a subgraph takes, and the outputs of the round before, which are its inputs."""
    carried = sum(known.get(value.name, 0) for value in body.output) if body.input else 0
    outer = sorted({name for node in body.node for name in reads(node)} - _made(body))
    found = buffers(body, body.node, sizes, outer)
    changes = [0] * (len(body.node) + 2)
    for one in found:
        size = max(known.get(name, 0) for name in one.values)
        changes[one.first] += size
        changes[one.last + 1] -= size
    total = peak = 0
    for node, change in zip(body.node, changes, strict=False):
        total += change
        peak = max(peak, total + max((_inside(inner, sizes, known) for inner in bodies(node)), default=0))
    return peak + carried


def _made(body: GraphProto) -> set[str]:
    return {name for node in body.node for name in node.output}


def expressions(graph: GraphProto, nodes: Sequence[NodeProto], sizes: Mapping[str, Size]) -> list[Dim]:
    """The peak as expressions over the symbols of the inputs: at any binding it is the largest of them.

    Those that grow fastest come first. Without workspace and subgraphs. Values of unknown size are left out.
    """
    sums: list[Dim] = [0] * len(nodes)
    for buffer in buffers(graph, nodes, sizes):
        size = _largest([sizes[name].bytes for name in buffer.values if name in sizes])
        for step in range(buffer.first, min(buffer.last + 1, len(nodes))):
            sums[step] = symbols.add(sums[step], size)
    kept: list[Dim] = []
    for dim in sorted({dim for dim in sums if dim is not None}, key=_growth, reverse=True):
        if not any(symbols.is_at_least(symbols.sub(other, dim), 0) for other in kept):
            kept.append(dim)
    return kept


def _growth(dim: int | str) -> tuple[int, int, str]:
    """How fast it grows: its degree, and the sum of the factors of that degree."""
    terms = polynomial(dim)
    degree = max((len(monomial) for monomial in terms), default=0)
    return degree, sum(factor for monomial, factor in terms.items() if len(monomial) == degree), str(dim)


def _largest(dims: Sequence[Dim]) -> Dim:
    result: Dim = 0
    for dim in dict.fromkeys(dims):
        result = dim if result == 0 else symbols.maximum(result, dim)
    return result


def _operator(node: NodeProto) -> str:
    return f"{node.domain}::{node.op_type}" if node.domain else node.op_type
