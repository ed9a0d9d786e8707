"""What ONNX Runtime's profiler wrote: time and FLOPs of every kernel.

Source: the trace of `SessionOptions.enable_profiling`, one event per kernel run with the shapes that went in and
came out. Shapes are counted by `ncgopt.cost`; attributes, where a cost depends on them, come from the model that
ONNX Runtime made. Its own blocked operators (`com.microsoft.nchwc`) count as the ones they stand for.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

import onnx
import onnx_ir as ir

from ncgopt.cost import node_cost

_Typed: TypeAlias = tuple[str, tuple[int, ...]]

_SUFFIX = "_kernel_time"
_DOMAINS = ("", "com.microsoft", "com.microsoft.nchwc", "ai.onnx.ml")
_SECONDS = 1e-6  # the unit of a trace
_VERSION = 21  # whose defaults stand for attributes that are not known; those that costs depend on never changed


@dataclass(frozen=True)
class Kernel:
    """A node of the model as ONNX Runtime runs it.

    Attributes:
        name: of the node, which may be one that ONNX Runtime made.
        operator: its type.
        seconds: in one run of the model: the median over runs of the sum, where a loop runs it more than once.
        flops: in one run of the model; None where not known.
        calls: how often it runs in one run of the model.
        shapes: what goes in, as text.
    """

    name: str
    operator: str
    seconds: float
    flops: int | None
    calls: int
    shapes: str


def read_trace(path: Path, optimized: Path | None, runs: int) -> list[Kernel]:
    """The kernels in a trace, longest first.

    Args:
        path: the trace, of `runs` runs and one before them that does not count.
        optimized: the model that ran, for attributes; None to do without.
        runs: runs of the model that count.
    """
    events = [event for event in json.loads(path.read_text(encoding="utf-8")) if _is_kernel(event)]
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for event in events:
        groups.setdefault((str(event["args"].get("node_index")), str(event["name"])), []).append(event)
    model = _Optimized.read(optimized)
    found = [_kernel(group, model, runs) for group in groups.values()]
    return sorted(found, key=lambda kernel: -kernel.seconds)


def _is_kernel(event: Mapping[str, Any]) -> bool:
    return event.get("cat") == "Node" and str(event.get("name", "")).endswith(_SUFFIX)


def _kernel(group: Sequence[Mapping[str, Any]], model: _Optimized, runs: int) -> Kernel:
    calls = max(1, round(len(group) / (runs + 1)))
    counted = group[calls:] or group
    sums = [sum(float(event["dur"]) for event in counted[at : at + calls]) for at in range(0, len(counted), calls)]
    last = group[-1]
    name, operator = str(last["name"]).removesuffix(_SUFFIX), str(last["args"].get("op_name", "?"))
    inputs, outputs = (_typed(last["args"].get(key)) for key in ("input_type_shape", "output_type_shape"))
    node = model.nodes.get(name)
    if node is not None:
        inputs = model.inputs(node, inputs)
    flops = _flops(operator, node, inputs, outputs)
    shapes = " ".join("x".join(map(str, shape)) or "scalar" for _, shape in inputs)
    seconds = statistics.median(sums) * _SECONDS
    return Kernel(name, operator, seconds, None if flops is None else flops * calls, calls, shapes)


def _typed(found: object) -> list[_Typed]:
    """`[{"float": [1, 8]}, {}]` -> types and shapes; an input that was left out is an empty table."""
    entries = cast("list[Mapping[str, Sequence[int]]]", found) if isinstance(found, list) else []
    return [(kind, tuple(shape)) for entry in entries for kind, shape in entry.items()]


@dataclass(frozen=True)
class _Optimized:
    """Nodes by name (names that two have are left out), and the shapes of constants."""

    nodes: Mapping[str, onnx.NodeProto]
    constants: Mapping[str, tuple[int, ...]]

    @classmethod
    def read(cls, path: Path | None) -> _Optimized:
        if path is None:
            return cls({}, {})
        graph = onnx.ModelProto.FromString(path.read_bytes()).graph
        found: dict[str, onnx.NodeProto | None] = {}
        for node in graph.node:
            found[node.name] = None if node.name in found else node
        constants = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
        return cls({name: node for name, node in found.items() if name and node is not None}, constants)

    def inputs(self, node: onnx.NodeProto, traced: Sequence[_Typed]) -> list[_Typed]:
        """What went into a node: a trace leaves out the constants that the kernel has packed for itself."""
        rest = list(traced)
        found: list[_Typed] = []
        for name in filter(None, node.input):
            constant = self.constants.get(name)
            if constant is not None and (not rest or rest[0][1] != constant):
                found.append(("packed", constant))
            elif rest:
                found.append(rest.pop(0))
        return found


def _flops(
    operator: str,
    proto: onnx.NodeProto | None,
    inputs: Sequence[_Typed],
    outputs: Sequence[_Typed],
) -> int | None:
    shapes: dict[ir.Value, tuple[int, ...]] = {}

    def value(kind: str, shape: tuple[int, ...]) -> ir.Value:
        made = ir.Value(name=f"v{len(shapes)}")
        shapes[made] = shape
        return made

    given = [value(*one) for one in inputs]
    attributes = [] if proto is None else [ir.from_proto(a) for a in proto.attribute if not a.HasField("g")]
    for domain in _DOMAINS if proto is None else (proto.domain,):
        plain = "" if domain.endswith(".nchwc") else domain
        made = [value(*one) for one in outputs]
        node = ir.Node(plain, operator, given, cast(Any, attributes), outputs=made, version=1 if plain else _VERSION)
        cost = node_cost(node, shapes.get)
        if cost is not None:
            return cost.flops
    return None
