"""Which weights lie in the .onnx file, and where in which data file the others lie."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir

from ncgopt.model.ondisk import FileTensor, SourceFile
from ncgopt.model.stream import Holes, Output
from ncgopt.model.tensors import SparseTensor, tensor_bytes, write_external

SMALLEST_EXTERNAL = 1024
"""Bytes from which on a tensor goes to the data file; smaller ones, shapes above all, are needed to
understand the model and cost more there than they save."""

_PAGE_ALIGNED_FROM = 1 << 20
_PAGE = 4096
_ALIGNMENT = 16


@dataclass(frozen=True)
class Placed:
    """A tensor in a data file: its first byte and its bytes; the file's name if it is not the layout's own."""

    tensor: ir.TensorProtocol
    offset: int
    length: int
    location: str = ""


class Layout:
    """Places of tensors in data files; equal places for one tensor object, or one part of one file.

    Attributes:
        size: bytes of the layout's own data file so far, 0 if there is none.
    """

    def __init__(self) -> None:
        self.size = 0
        self._placed: dict[Hashable, Placed] = {}

    @classmethod
    def of(cls, model: ir.Model) -> Layout:
        """The layout with external data: the main graph's initializers, and what was external before."""
        layout = cls()
        for tensor in _movable(model):
            layout._add(tensor)
        return layout

    @classmethod
    def beside(cls, model: ir.Model, path: Path, *, links: bool) -> Layout:
        """As `of`, but external data stay where they are if a hard link beside `path` can show them.

        A runtime that finds external data only in the model's folder then reads the original's, and
        nothing is copied. Weights of an .onnx file are copied: they are not aligned there, and kernels
        may compute otherwise with them than with the file that is written in the end. So are those of
        subgraphs: ONNX's checker, which ONNX Runtime asks about them, takes links for an attack.
        """
        layout = cls()
        names: dict[Path, str | None] = {}
        for value in model.graph.initializers.values() if links else ():
            tensor = value.const_value
            if isinstance(tensor, FileTensor) and tensor.external and tensor.aligned:
                source = tensor.file.path
                if source not in names:
                    names[source] = _link(source, path.with_name(f"{path.name}.{len(names)}.link"))
                layout._add(tensor, names[source])
        for tensor in _movable(model):
            layout._add(tensor)
        return layout

    def write(self, output: Output) -> None:
        """Write the layout's own data file."""
        for placed in self._placed.values():
            if not placed.location:
                output.write(bytes(placed.offset - output.position))
                output.copy(placed.tensor)

    def message(self, tensor: ir.TensorProtocol, location: str, holes: Holes) -> onnx.TensorProto:
        """The tensor as a message, its bytes in a data file if it has a place there.

        Args:
            tensor: the tensor.
            location: name of the layout's own data file.
            holes: where tensors go that have no place in a data file.
        """
        placed = self._placed.get(_key(tensor))
        if placed is None:
            return holes.write(tensor)
        return write_external(tensor, placed.location or location, placed.offset, placed.length)

    def found_in(self) -> SourceFile | None:
        """The file that has everything in its place already, and nothing else; None if there is none."""
        files: set[SourceFile] = set()
        for placed in self._placed.values():
            tensor = placed.tensor
            if not isinstance(tensor, FileTensor) or tensor.offset != placed.offset:
                return None
            files.add(tensor.file)
        file = files.pop() if len(files) == 1 else None
        return file if file is not None and file.size == self.size else None

    def _add(self, tensor: ir.TensorProtocol, location: str | None = None) -> None:
        key, length = _key(tensor), tensor_bytes(tensor)
        if isinstance(tensor, SparseTensor) or tensor.dtype == ir.DataType.STRING:
            return
        if key in self._placed or length < SMALLEST_EXTERNAL:
            return
        if location is not None and isinstance(tensor, FileTensor):
            self._placed[key] = Placed(tensor, tensor.offset, length, location)
            return
        alignment = _PAGE if length >= _PAGE_ALIGNED_FROM else _ALIGNMENT
        offset = -(-self.size // alignment) * alignment
        self._placed[key] = Placed(tensor, offset, length)
        self.size = offset + length


def data_files(model: ir.Model) -> frozenset[str]:
    """Paths of all files that tensors of the model still lie in."""
    tensors = [value.const_value for value in model.graph.initializers.values()]
    return frozenset(str(t.file.path) for t in [*tensors, *_other_tensors(model)] if isinstance(t, FileTensor))


def _link(source: Path, link: Path) -> str | None:
    """Name of a new hard link to a file; None where that is not possible (another file system, no rights)."""
    link.unlink(missing_ok=True)
    with contextlib.suppress(OSError, NotImplementedError):
        os.link(source.resolve(), link)
        return link.name
    return None


def _movable(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    """The main graph's initializers, and elsewhere what was external before."""
    yield from (value.const_value for value in model.graph.initializers.values() if value.const_value is not None)
    yield from (tensor for tensor in _other_tensors(model) if isinstance(tensor, FileTensor) and tensor.external)


def _other_tensors(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    """Tensors of attributes, subgraphs and functions, in file order."""
    for graph in [model.graph, *(function.graph for function in model.functions.values())]:
        yield from _inner_tensors(graph)


def _inner_tensors(graph: ir.Graph) -> Iterator[ir.TensorProtocol]:
    for node in graph:
        for attribute in node.attributes.values():
            if attribute.is_ref():
                continue
            if attribute.type == ir.AttributeType.TENSOR:
                yield attribute.as_tensor()
            elif attribute.type == ir.AttributeType.TENSORS:
                yield from attribute.as_tensors()
            elif attribute.type == ir.AttributeType.GRAPH:
                yield from _all_tensors(attribute.as_graph())
            elif attribute.type == ir.AttributeType.GRAPHS:
                for subgraph in attribute.as_graphs():
                    yield from _all_tensors(subgraph)


def _all_tensors(graph: ir.Graph) -> Iterator[ir.TensorProtocol]:
    yield from (value.const_value for value in graph.initializers.values() if value.const_value is not None)
    yield from _inner_tensors(graph)


def _key(tensor: ir.TensorProtocol) -> Hashable:
    if isinstance(tensor, FileTensor):
        return tensor.file.path, tensor.offset, tensor.length
    return id(tensor)
