"""Which weights lie in the .onnx file, and where in the data file the others lie."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import onnx
import onnx_ir as ir

from ncgopt.model.ondisk import FileTensor
from ncgopt.model.stats import tensor_bytes
from ncgopt.model.tensors import SparseTensor, pieces, write_external, write_tensor

SMALLEST_EXTERNAL = 1024
"""Bytes from which on a tensor goes to the data file; smaller ones, shapes above all, are needed to
understand the model and cost more there than they save."""

_PAGE_ALIGNED_FROM = 1 << 20
_PAGE = 4096
_ALIGNMENT = 16


@dataclass(frozen=True)
class Placed:
    """A tensor in the data file: its first byte and its bytes."""

    tensor: ir.TensorProtocol
    offset: int
    length: int


class Layout:
    """Places of tensors in one data file; equal places for one tensor object, or one part of one file.

    Attributes:
        size: bytes of the data file so far, 0 if there is none.
    """

    def __init__(self) -> None:
        self.size = 0
        self._placed: dict[Hashable, Placed] = {}

    @classmethod
    def of(cls, model: ir.Model) -> Layout:
        """The layout with external data: the main graph's initializers, and what was external before."""
        layout = cls()
        for value in model.graph.initializers.values():
            if value.const_value is not None:
                layout._add(value.const_value)
        for tensor in _other_tensors(model):
            if isinstance(tensor, FileTensor) and tensor.external:
                layout._add(tensor)
        return layout

    def write(self, file: BinaryIO) -> str:
        """Write the data file; returns the SHA-256 of its content in hexadecimal."""
        digest = hashlib.sha256()
        position = 0
        for placed in self._placed.values():
            padding = bytes(placed.offset - position)
            file.write(padding)
            digest.update(padding)
            for piece in pieces(placed.tensor):
                file.write(piece)
                digest.update(piece)
            position = placed.offset + placed.length
        return digest.hexdigest()

    def message(self, tensor: ir.TensorProtocol, location: str) -> onnx.TensorProto:
        """The tensor as a message, its bytes in the file `location` if it has a place there."""
        placed = self._placed.get(_key(tensor))
        if placed is None:
            return write_tensor(tensor, embed=True)
        return write_external(tensor, location, placed.offset, placed.length)

    def __contains__(self, tensor: ir.TensorProtocol) -> bool:
        return _key(tensor) in self._placed

    def _add(self, tensor: ir.TensorProtocol) -> None:
        key, length = _key(tensor), tensor_bytes(tensor)
        if isinstance(tensor, SparseTensor) or tensor.dtype == ir.DataType.STRING:
            return
        if key in self._placed or length < SMALLEST_EXTERNAL:
            return
        alignment = _PAGE if length >= _PAGE_ALIGNED_FROM else _ALIGNMENT
        offset = -(-self.size // alignment) * alignment
        self._placed[key] = Placed(tensor, offset, length)
        self.size = offset + length


def data_files(model: ir.Model) -> frozenset[str]:
    """Paths of all files that tensors of the model still lie in."""
    tensors = [value.const_value for value in model.graph.initializers.values()]
    return frozenset(str(t.file.path) for t in [*tensors, *_other_tensors(model)] if isinstance(t, FileTensor))


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
