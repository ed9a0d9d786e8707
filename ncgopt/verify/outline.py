"""A model's message without its large weights: enough to know the graph, and to write it anew over the same bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError

from ncgopt.errors import InputUnreadable
from ncgopt.model import wire
from ncgopt.model.external import DataFolder
from ncgopt.model.ondisk import FileTensor, SourceFile
from ncgopt.model.tensors import byte_size
from ncgopt.runtime.session import Array

# onnx ships no complete type stubs: the messages are handled as Any from here on.
_TensorProto: Any = onnx.TensorProto


@dataclass(frozen=True)
class Outline:
    """What protobuf makes of a file, with short placeholders where large `raw_data` would be.

    Attributes:
        proto: the message; `place` knows what a placeholder in it stands for.
        file: the file, as it was when it was read.
    """

    proto: Any
    file: SourceFile
    _places: wire.Places

    def place(self, tensor: Any) -> tuple[int, int] | None:
        """First byte and bytes of a tensor's `raw_data` in the file; None where the message holds it."""
        return self._places.find(tensor.raw_data) if tensor.HasField("raw_data") else None

    def fill(self, tensor: Any) -> None:
        """Put into the message what the file holds of a tensor; raises InputUnreadable where the file changed."""
        if self.place(tensor) is not None:
            tensor.raw_data = b"".join(bytes(piece) for piece in self.raw(tensor))

    def raw(self, tensor: Any) -> Iterator[memoryview | bytes]:
        """What `raw_data` of a tensor would be, external data included, in pieces that do not last.

        Raises:
            InputUnreadable: a file cannot be read, or changed.
        """
        place = self._lies_in(tensor)
        if place is None:
            yield tensor.raw_data
            return
        file, offset, length = place
        try:
            yield from file.chunks(offset, length)
        except OSError as error:
            raise InputUnreadable(f"{file.path} cannot be read: {error.strerror or error}") from error

    def array(self, tensor: Any) -> Array:
        """The elements of a dense tensor that holds no strings, external data included.

        Large ones are views into a file, and not aligned there: for numpy alone.

        Raises:
            InputUnreadable: a file cannot be read, or changed, or external data lie outside of the model's folder.
        """
        found = self.on_disk(tensor)
        return cast(Any, onnx.numpy_helper).to_array(tensor) if found is None else found.view()

    def on_disk(self, tensor: Any) -> FileTensor | None:
        """A tensor that lies in a file; None where the message holds it. Raises as `array` does."""
        place = self._lies_in(tensor)
        return None if place is None else FileTensor(tensor, ir.DataType(tensor.data_type), *place, external=False)

    def _lies_in(self, tensor: Any) -> tuple[SourceFile, int, int] | None:
        """File, first byte and bytes."""
        place = self.place(tensor)
        if place is not None:
            return self.file, *place
        if tensor.data_location != _TensorProto.EXTERNAL:
            return None
        found = {entry.key: entry.value for entry in tensor.external_data}
        size = byte_size(ir.DataType(tensor.data_type), math.prod(tensor.dims))
        offset = int(found.get("offset") or 0)
        folder = DataFolder(self.file.path.absolute().parent)  # a location must not lead out of it
        return SourceFile(folder.find(found.get("location", ""), offset + size, tensor.name)), offset, size

    @property
    def is_understood(self) -> bool:
        """Whether every placeholder was asked for; one that was not may be in the message still."""
        return self._places.complete


def read_outline(path: Path) -> Outline:
    """Read a file; external data are left alone.

    Raises:
        InputUnreadable: there is no such file, or it is no ONNX model.
    """
    try:
        file = SourceFile(path)
        if not file.size:
            raise InputUnreadable(f"{path} is empty")
        proto, places = wire.parse(path)
    except OSError as error:
        raise InputUnreadable(f"cannot read {path}: {error.strerror or error}") from None
    except (DecodeError, ValueError) as error:
        raise InputUnreadable(f"{path} is not an ONNX model, or truncated: {error}") from None
    return Outline(proto, file, places)


def tensors_of(model: Any) -> Iterator[Any]:
    """Every tensor of a model: initializers, those in attributes, and the parts of sparse ones; functions included."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from _of_nodes(function.node)
        for attribute in function.attribute_proto:
            yield from _of_attribute(attribute)


def put_outside(tensor: Any, location: str, offset: int, length: int) -> None:
    """Have a tensor say that its bytes lie in a file beside the model."""
    tensor.ClearField("raw_data")
    del tensor.external_data[:]
    tensor.data_location = _TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))


def _of_graph(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            yield from _of_attribute(attribute)


def _of_attribute(attribute: Any) -> Iterator[Any]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    for sparse in (
        *((attribute.sparse_tensor,) if attribute.HasField("sparse_tensor") else ()),
        *attribute.sparse_tensors,
    ):
        yield from (sparse.values, sparse.indices)
    for graph in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
        yield from _of_graph(graph)
