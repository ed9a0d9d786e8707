"""What is refused before anything else looks at a model: what no reader could make sense of.

The rest of the library may then count on versions that fit in 32 bits, as ONNX's own functions do, and
on functions that can be followed from call to call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx

from ncgopt.errors import ModelInvalid

_LARGEST_VERSION = (1 << 31) - 1
_DEEPEST_CALLS = 200  # ONNX Runtime inlines by recursion, and so do others

Name = tuple[str, str, str]


def require_plausible(model: onnx.ModelProto) -> None:
    """Check operator set versions, and how functions call each other.

    Raises:
        ModelInvalid: a version that cannot be, functions that call each other without end or too deep.
    """
    _check_versions("the model", model.opset_import)
    for function in model.functions:
        _check_versions(f"function {function.name!r}", function.opset_import)
    _check_calls(model.functions)


def _check_versions(where: str, imports: Iterable[onnx.OperatorSetIdProto]) -> None:
    for one in imports:
        if not 1 <= one.version <= _LARGEST_VERSION:
            domain = one.domain or "ai.onnx"
            raise ModelInvalid(f"{where} imports version {one.version} of operator set {domain!r}, which cannot be")


def _check_calls(functions: Iterable[onnx.FunctionProto]) -> None:
    """Depth of every function over those that it calls, without recursion: that is what is checked for."""
    by_name = {(f.domain, f.name, f.overload): f for f in functions}
    calls = {name: [c for c in dict.fromkeys(_called(f.node)) if c in by_name] for name, f in by_name.items()}
    callers: dict[Name, list[Name]] = {name: [] for name in by_name}
    for name, called in calls.items():
        for other in called:
            callers[other].append(name)
    open_calls = {name: len(called) for name, called in calls.items()}
    depth = dict.fromkeys(by_name, 1)
    ready = [name for name, count in open_calls.items() if count == 0]
    while ready:
        name = ready.pop()
        for caller in callers[name]:
            depth[caller] = max(depth[caller], depth[name] + 1)
            open_calls[caller] -= 1
            if open_calls[caller] == 0:
                ready.append(caller)
    endless = [name for name, count in open_calls.items() if count]
    if endless:
        raise ModelInvalid(f"function {endless[0][1]!r} calls itself, by way of others or not")
    if depth and max(depth.values()) > _DEEPEST_CALLS:
        raise ModelInvalid(f"functions call each other {max(depth.values())} deep; {_DEEPEST_CALLS} is the most")


def _called(nodes: Iterable[onnx.NodeProto]) -> Iterator[Name]:
    for node in nodes:
        yield node.domain, node.op_type, node.overload
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _called(graph.node)
