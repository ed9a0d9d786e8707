"""Which values share a buffer, and from which step to which each buffer lives, as ONNX Runtime plans it.

Source: `PlannerImpl` (onnxruntime/core/framework/allocation_planner.cc) for sequential execution. A value
takes, in this order: a buffer of its own, where it is an output of the graph; that of an input, where the
kernel only renames it or may overwrite it; a buffer that is free and of the same size, the one that became
free last first; else a new one. Sizes are compared as ONNX Runtime knows them when it loads the model:
a dimension that it has no number and no name for is equal to no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import onnx
import onnx_ir as ir
from onnx import GraphProto, NodeProto, ValueInfoProto

from ncgopt.facts import Dim
from ncgopt.memory import kernels
from ncgopt.memory.executed import Size
from ncgopt.memory.schedule import reads

# Bits per element, and a number or a name per dimension.
_Size = tuple[int, tuple[Dim, ...]]


@dataclass(frozen=True)
class Buffer:
    """A piece of memory.

    Attributes:
        name: the value that it was made for, whose size it has.
        values: all values that lie in it one after the other.
        first, last: the steps during which it is there; `last` is the number of steps for what the caller gets.
    """

    name: str
    values: tuple[str, ...]
    first: int
    last: int


@dataclass
class _Planner:
    sizes: Mapping[str, _Size]
    uses: dict[str, int]
    outputs: frozenset[str]
    buffer: dict[str, str] = field(default_factory=dict[str, str])
    free: list[str] = field(default_factory=list[str])

    def place(self, node: NodeProto, index: int, name: str) -> None:
        """Decide where an output of a node goes."""
        taken = None if name in self.outputs else self._input(node, index, name) or self._released(name)
        if taken is None:
            self.buffer[name] = name
            self.uses.setdefault(name, 0)
            return
        whole = self.buffer[taken]
        self.buffer[name] = whole
        self.uses[whole] += self.uses.get(name, 0)

    def release(self, node: NodeProto) -> None:
        """After a node: buffers that nobody needs any more are free, the latest in front."""
        for name in reads(node):
            whole = self.buffer[name]
            self.uses[whole] -= 1
            if self.uses[whole] == 0:
                self.free.insert(0, whole)
        for name in filter(None, node.output):
            whole = self.buffer[name]
            if self.uses[whole] == 0 and whole not in self.free:
                self.free.insert(0, whole)

    def _input(self, node: NodeProto, index: int, name: str) -> str | None:
        if index:
            return None
        if kernels.renamed(node.domain, node.op_type):
            return node.input[0]
        place = kernels.overwritten(node.domain, node.op_type)
        given = node.input[place] if place is not None and place < len(node.input) else ""
        return given if given and self.uses[self.buffer[given]] == 1 and self._same(given, name) else None

    def _released(self, name: str) -> str | None:
        size = self.sizes.get(name)
        if size is None or not size[1]:
            return None
        found = next((whole for whole in self.free if self._same(whole, name)), None)
        if found is not None:
            self.free.remove(found)
        return found

    def _same(self, a: str, b: str) -> bool:
        return a in self.sizes and self.sizes[a] == self.sizes.get(b)


def buffers(
    graph: GraphProto, nodes: Sequence[NodeProto], known: Mapping[str, Size], given: Sequence[str] = ()
) -> list[Buffer]:
    """The buffers that executing `nodes` in this order allocates.

    Args:
        graph: what ONNX Runtime executes, with the shapes it knows in `value_info`.
        nodes: its nodes in the order of execution.
        known: sizes over the symbols, for values that it declares none for: what optimizations made. ONNX Runtime
            knows those that are numbers.
        given: values from outside that nodes read, beside the graph's inputs and initializers.
    """
    there = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer} | set(given)
    outputs = frozenset(value.name for value in graph.output)
    uses = dict.fromkeys([*there, *outputs], 1)
    for node in nodes:
        for name in reads(node):
            uses[name] = uses.get(name, 0) + 1
    declared = {value.name: _size(value) for value in (*graph.value_info, *graph.input, *graph.output)}
    sizes = {
        name: (size.bits, size.dims)
        for name, size in known.items()
        if name not in declared and all(isinstance(dim, int) for dim in size.dims)
    }
    sizes |= {name: size for name, size in declared.items() if size is not None}
    planner = _Planner(sizes, uses, outputs, {name: name for name in there})
    for node in nodes:
        for index, name in enumerate(node.output):
            if name:
                planner.place(node, index, name)
        planner.release(node)
    return _lifetimes(nodes, planner.buffer, there, outputs)


def _lifetimes(
    nodes: Sequence[NodeProto], buffer: Mapping[str, str], there: set[str], outputs: frozenset[str]
) -> list[Buffer]:
    values: dict[str, list[str]] = {}
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for step, node in enumerate(nodes):
        for name in filter(None, node.output):
            values.setdefault(buffer[name], []).append(name)
            first.setdefault(buffer[name], step)
        for name in (*reads(node), *filter(None, node.output)):
            last[buffer[name]] = step
    last.update({buffer[name]: len(nodes) for name in outputs if name in buffer})
    return [
        Buffer(whole, tuple(names), first[whole], last[whole]) for whole, names in values.items() if whole not in there
    ]


def _size(value: ValueInfoProto) -> _Size | None:
    """None for what is no tensor, for strings, and where a dimension has neither a number nor a name."""
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
        return None
    if tensor.elem_type in (onnx.TensorProto.STRING, onnx.TensorProto.UNDEFINED):
        return None
    dims = tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in tensor.shape.dim)
    return None if "" in dims else (ir.DataType(tensor.elem_type).bitwidth, dims)
