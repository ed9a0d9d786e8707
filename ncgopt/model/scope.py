"""What a graph or function says about its values by name, kept as it was read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

import onnx
import onnx_ir as ir

from ncgopt.model import messages

_KEY = "ncgopt.scope"


@dataclass(frozen=True)
class Entry:
    """One message about a value.

    Attributes:
        name: name of the value.
        read: the message as read.
        written: what the in-memory form wrote for that value right after reading; None if no value
            of that name existed.
    """

    name: str
    read: bytes
    written: bytes | None


@dataclass(frozen=True)
class Scope:
    """Messages about the values of one graph or function, in their order.

    Attributes:
        inputs: inputs; below IR version 4 initializers are listed here too.
        outputs: outputs.
        value_info: types of values, only those that the file had.
        annotations: quantization annotations.
        initializer_inputs: which initializers are written as inputs too without being inputs in
            memory. Below IR version 4 the format demands it of `all`; ONNX Runtime also takes files
            that break this, there only the `known` ones are listed again. From version 4 on, `never`.
    """

    inputs: tuple[Entry, ...] = ()
    outputs: tuple[Entry, ...] = ()
    value_info: tuple[Entry, ...] = ()
    annotations: tuple[Entry, ...] = ()
    initializer_inputs: Literal["never", "known", "all"] = "never"


def get(graph: ir.Graph) -> Scope:
    """The scope that was kept for `graph`; an empty one for a graph made in memory."""
    return cast(Scope, graph.meta[_KEY]) if _KEY in graph.meta else Scope()


def keep(graph: ir.Graph, scope: Scope) -> None:
    """Keep `scope` for `graph`."""
    graph.meta[_KEY] = scope


def entry(
    info: onnx.ValueInfoProto, values: Mapping[str, ir.Value], write: Callable[[ir.Value, str], onnx.ValueInfoProto]
) -> Entry:
    """What is kept of one value info; `write` makes the message of a value as it is now."""
    value = values.get(info.name)
    written = messages.encode(write(value, info.name)) if value is not None else None
    return Entry(info.name, messages.encode(info), written)


def revive(kept: Entry, current: onnx.ValueInfoProto) -> None:
    """Put back into `current` what was read and not changed since."""
    if kept.written is not None:
        messages.revert(messages.Original(kept.read, kept.written), current)


def values_of(graph: ir.Graph) -> dict[str, ir.Value]:
    """Every named value that `graph` itself defines: inputs, initializers, outputs of its nodes."""
    found = {value.name: value for value in [*graph.inputs, *graph.initializers.values()] if value.name}
    for node in graph:
        found.update({value.name: value for value in node.outputs if value.name})
    return found
