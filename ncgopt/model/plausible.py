"""What is refused before anything else looks at a model: what no reader could make sense of.

The rest of the library may then count on versions that fit in 32 bits, as ONNX's own functions do, on
element types that there are, on nodes that compute something, and on functions that can be followed from
call to call and unfold to no more nodes than anybody can hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import onnx

from ncgopt.errors import ModelInvalid

_LARGEST_VERSION = (1 << 31) - 1
_DEEPEST_CALLS = 200  # ONNX Runtime inlines by recursion, and so do others
_MOST_NODES = 10_000_000  # after inlining, which ONNX Runtime does on loading
_ELEMENT_TYPES = frozenset(onnx.TensorProto.DataType.values())

Name = tuple[str, str, str]


def require_plausible(model: onnx.ModelProto) -> None:
    """Check versions and types, and how functions call each other.

    Raises:
        ModelInvalid: a version or type that cannot be, a standard operator without outputs, functions that
            call each other without end, too deep or too often.
    """
    _check_versions("the model", model.opset_import)
    for function in model.functions:
        _check_versions(f"function {function.name!r}", function.opset_import)
    for port in (*model.graph.input, *model.graph.output):
        kind = port.type.tensor_type.elem_type
        if kind not in _ELEMENT_TYPES:
            raise ModelInvalid(f"{port.name!r} has the unknown element type {kind}")
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        idle = next((node for node in nodes if not node.output and node.domain in ("", "ai.onnx")), None)
        if idle is not None:
            raise ModelInvalid(f"node {idle.name!r} ({idle.op_type}) has no outputs")
    _check_calls(model)


def _check_versions(where: str, imports: Iterable[onnx.OperatorSetIdProto]) -> None:
    for one in imports:
        if not 1 <= one.version <= _LARGEST_VERSION:
            domain = one.domain or "ai.onnx"
            raise ModelInvalid(f"{where} imports version {one.version} of operator set {domain!r}, which cannot be")


def _check_calls(model: onnx.ModelProto) -> None:
    """Depth and unfolded size of every function, without recursion: that is what is checked for."""
    bodies = {(f.domain, f.name, f.overload): Counter(_called(f.node)) for f in model.functions}
    depth, size = dict.fromkeys(bodies, 1), {name: body.total() for name, body in bodies.items()}
    order = _callees_first(bodies)
    if len(order) < len(bodies):
        endless = next(name for name in bodies if name not in order)
        raise ModelInvalid(f"function {endless[1]!r} calls itself, by way of others or not")
    for name in order:
        called = {other: count for other, count in bodies[name].items() if other in bodies}
        depth[name] += max((depth[other] for other in called), default=0)
        size[name] += sum(count * size[other] for other, count in called.items())
    if depth and max(depth.values()) > _DEEPEST_CALLS:
        raise ModelInvalid(f"functions call each other {max(depth.values())} deep; {_DEEPEST_CALLS} is the most")
    whole = sum(size.get(name, 1) for name in _called(model.graph.node)) if bodies else 0
    if whole > _MOST_NODES:
        raise ModelInvalid(f"the model unfolds to {whole} nodes when its functions are inlined")


def _callees_first(bodies: Mapping[Name, Counter[Name]]) -> dict[Name, None]:
    """All functions, each after those that it calls; those left out that call each other without end."""
    callers: dict[Name, list[Name]] = {name: [] for name in bodies}
    waiting: dict[Name, int] = {}
    for name, body in bodies.items():
        called = [other for other in body if other in bodies]
        waiting[name] = len(called)
        for other in called:
            callers[other].append(name)
    ready = [name for name, count in waiting.items() if count == 0]
    order: dict[Name, None] = {}
    while ready:
        name = ready.pop()
        order[name] = None
        for caller in callers[name]:
            waiting[caller] -= 1
            if waiting[caller] == 0:
                ready.append(caller)
    return order


def _called(nodes: Iterable[onnx.NodeProto]) -> Iterator[Name]:
    for node in nodes:
        yield node.domain, node.op_type, node.overload
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _called(graph.node)
