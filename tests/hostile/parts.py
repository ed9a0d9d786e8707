"""Small parts that hostile files are put together from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Build = Callable[[Path], onnx.ModelProto | bytes | None]


@dataclass(frozen=True)
class Hostile:
    """One file.

    Attributes:
        name: of its folder.
        build: makes the model, or writes `m.onnx` itself into the folder it is given; other files too.
        codes: exit codes of `ncgopt optimize` that are right for it.
        says: text that must be in the one line on standard error; empty where the code is 0.
        why: what is hostile about it.
        options: of the command line; what is valid and merely huge or endless is given limits.
    """

    name: str
    build: Build
    codes: tuple[int, ...]
    says: str
    why: str
    options: tuple[str, ...] = ()


LIMITS = ("--timeout", "4", "--memory-limit", "1GB")


@dataclass
class Table:
    """All files, filled by the decorator that `add` returns."""

    files: list[Hostile] = field(default_factory=list)

    def add(
        self, name: str, codes: int | tuple[int, ...], says: str = "", options: tuple[str, ...] = ()
    ) -> Callable[[Build], Build]:
        def keep(build: Build) -> Build:
            wanted = codes if isinstance(codes, tuple) else (codes,)
            self.files.append(Hostile(name, build, wanted, says, (build.__doc__ or "").strip(), options))
            return build

        return keep


def parsed(text: str, opset: int = 21) -> onnx.ModelProto:
    """A model from ONNX's text format, the header left out."""
    return onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]> {text}')


def model(
    nodes: Sequence[onnx.NodeProto],
    initializers: Sequence[onnx.TensorProto] = (),
    *,
    x: Sequence[Any] = ("N", 4),
    y: Sequence[Any] | None = None,
    **more: Any,
) -> onnx.ModelProto:
    """`x -> y`, both float."""
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, x)
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, y)
    graph = helper.make_graph(list(nodes), "g", [given], [result], list(initializers))
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)], **more)


def with_weight(tensor: onnx.TensorProto) -> onnx.ModelProto:
    """`y = x + w`."""
    tensor.name = "w"
    return model([helper.make_node("Add", ["x", "w"], ["y"])], [tensor])


def external(location: str, *, dims: Sequence[int] = (4,), dtype: int = TensorProto.FLOAT, **entries: object) -> Any:
    """A tensor whose bytes lie elsewhere."""
    tensor = TensorProto(dims=dims, data_type=dtype, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def ints(name: str, *values: int) -> onnx.TensorProto:
    """A vector of int64."""
    return numpy_helper.from_array(np.array(values, np.int64), name)


def scalar(name: str, value: Any) -> onnx.TensorProto:
    """A scalar of the type that numpy gives it."""
    return numpy_helper.from_array(np.asarray(value), name)


def tag(number: int, wire: int) -> bytes:
    """A field's tag in the wire format."""
    return varint(number << 3 | wire)


def varint(value: int) -> bytes:
    """A number in the wire format."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def block(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return tag(number, 2) + varint(len(content)) + content
